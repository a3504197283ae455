"""Low rank against numpy's SVD and against the textbook formula of the whitened SVD."""

from collections.abc import Callable

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qtnc.tensor.lowrank import low_rank, project, spectrum
from qtnc.tensor.metric import regularise, relative_error

Matrix = NDArray[np.float64]
Weights = Callable[[str, int, int, int], Matrix]
Covariances = Callable[[str, int, int], Matrix | None]

EPS = 2.0**-52

kinds = st.sampled_from(["dense", "thin", "sparse", "zero"])
metrics = st.sampled_from(["full", "singular", "steep", "zero"])
sizes = st.integers(1, 14)
ranks = st.integers(1, 16)
seeds = st.integers(0, 2**32 - 1)


def squared_slack(weight: Matrix, covariance: Matrix) -> float:
    """How far rounding may move a squared relative error: every product with C loses EPS |C| |W|^2 a few times."""
    total = float(np.einsum("ij,ij->", weight, covariance @ weight))
    return 50 * len(covariance) * EPS * float(np.linalg.norm(covariance)) * float(np.sum(weight**2)) / total


@given(kind=kinds, rows=sizes, columns=sizes, rank=ranks, seed=seeds)
@settings(max_examples=60, deadline=None)
def test_plain_error_is_the_tail_of_the_svd(
    make_weight: Weights, kind: str, rows: int, columns: int, rank: int, seed: int
) -> None:
    weight = make_weight(kind, rows, columns, seed)
    a, b = low_rank(weight, rank)
    kept = min(rank, rows, columns)
    assert a.shape == (rows, kept)
    assert b.shape == (kept, columns)
    tail = np.linalg.svd(weight, compute_uv=False)[kept:]
    # Singular values are right to a few EPS |W|.
    assert np.linalg.norm(weight - a @ b) == pytest.approx(np.linalg.norm(tail), abs=1e-13 * np.linalg.norm(weight))
    if np.any(weight):
        want = np.linalg.norm(tail) / np.linalg.norm(weight)
        assert spectrum(weight).error(rank) == pytest.approx(want, abs=1e-13)
    else:
        assert spectrum(weight).error(rank) == 0.0


@given(kind=kinds, metric=metrics, rows=sizes, columns=sizes, rank=ranks, seed=seeds)
@settings(max_examples=100, deadline=None)
def test_no_matrix_of_the_rank_is_closer_in_the_metric(
    make_weight: Weights,
    make_covariance: Covariances,
    kind: str,
    metric: str,
    rows: int,
    columns: int,
    rank: int,
    seed: int,
) -> None:
    weight, covariance = make_weight(kind, rows, columns, seed), make_covariance(metric, rows, seed)
    assert covariance is not None
    a, b = low_rank(weight, rank, covariance)
    kept = min(rank, rows, columns)
    if not np.any(weight):
        assert not np.any(a @ b)
        return
    # The metric that is minimised is the regularised one.
    regular = regularise(covariance)
    slack = squared_slack(weight, regular)
    ours = relative_error(weight, a @ b, regular) ** 2
    # The error that is told is that of the data, without the ridge.
    if np.any(covariance):
        measured, told = relative_error(weight, a @ b, covariance), spectrum(weight, covariance).error(rank)
        assert told**2 == pytest.approx(measured**2, abs=squared_slack(weight, covariance))

    # Textbook: L^-T times the truncated SVD of L^T W.
    lower = scipy.linalg.cholesky(regular, lower=True)
    u, s, vt = np.linalg.svd(lower.T @ weight, full_matrices=False)
    textbook = scipy.linalg.solve_triangular(lower, (u[:, :kept] * s[:kept]) @ vt[:kept], lower=True, trans="T")
    assert ours == pytest.approx(relative_error(weight, textbook, regular) ** 2, abs=slack)

    # Alternatives of the same rank: the plain SVD, and the optimum pushed about.
    plain = low_rank(weight, rank)
    rng = np.random.default_rng(seed)
    others = [plain[0] @ plain[1]]
    for step in (1e-4, 1e-2, 1.0):
        others.append((a + step * rng.standard_normal(a.shape)) @ (b + step * rng.standard_normal(b.shape)))
    for other in others:
        assert ours <= relative_error(weight, other, regular) ** 2 + slack


@given(kind=kinds, metric=st.sampled_from(["none", "full", "singular"]), rows=sizes, columns=sizes, seed=seeds)
@settings(max_examples=40, deadline=None)
def test_full_rank_reproduces_the_weight_everywhere(
    make_weight: Weights, make_covariance: Covariances, kind: str, metric: str, rows: int, columns: int, seed: int
) -> None:
    weight = make_weight(kind, rows, columns, seed)
    a, b = low_rank(weight, min(rows, columns), make_covariance(metric, rows, seed))
    # W V V^T with all of V: two products, no inverse, whatever the data never visited.
    np.testing.assert_allclose(a @ b, weight, atol=1e-13 * (1.0 + np.linalg.norm(weight)))


@given(
    kind=kinds,
    metric=st.sampled_from(["none", "full", "singular"]),
    rows=sizes,
    columns=sizes,
    error=st.floats(0.0, 1.2),
    seed=seeds,
)
@settings(max_examples=80, deadline=None)
def test_rank_for_is_the_smallest_that_holds(
    make_weight: Weights,
    make_covariance: Covariances,
    kind: str,
    metric: str,
    rows: int,
    columns: int,
    error: float,
    seed: int,
) -> None:
    known = spectrum(make_weight(kind, rows, columns, seed), make_covariance(metric, rows, seed))
    rank = known.rank_for(error)
    assert 1 <= rank <= min(rows, columns)
    # cumsum and sum add in different orders: a few rounding errors of 1.
    assert known.error(rank) <= error + 1e-14
    assert rank == 1 or known.error(rank - 1) > error - 1e-14


def test_the_factors_share_the_scale() -> None:
    weight = np.random.default_rng(3).standard_normal((9, 7)) * 1e6
    a, b = low_rank(weight, 4)
    np.testing.assert_allclose(np.linalg.norm(a, axis=0), np.linalg.norm(b, axis=1), rtol=1e-12)


def test_the_spectrum_is_computed_once_for_all_ranks() -> None:
    weight = np.random.default_rng(4).standard_normal((9, 7))
    known = spectrum(weight)
    for rank in (1, 3, 7):
        for ours, theirs in zip(project(weight, known, rank), low_rank(weight, rank), strict=True):
            np.testing.assert_array_equal(ours, theirs)


@given(seed=seeds)
@settings(max_examples=5, deadline=None)
def test_an_svd_that_does_not_converge_is_taken_by_the_other_driver(seed: int) -> None:
    weight = np.random.default_rng(seed).standard_normal((6, 5))
    real = scipy.linalg.svd

    def gives_up(matrix: Matrix, full_matrices: bool, lapack_driver: str) -> tuple[Matrix, Matrix, Matrix]:
        if lapack_driver == "gesdd":
            raise np.linalg.LinAlgError
        found: tuple[Matrix, Matrix, Matrix] = real(matrix, full_matrices=full_matrices, lapack_driver=lapack_driver)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scipy.linalg, "svd", gives_up)
        values = spectrum(weight).values
    np.testing.assert_allclose(values, np.linalg.svd(weight, compute_uv=False), rtol=1e-12)
