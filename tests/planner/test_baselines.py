"""The baselines against numpy: SVD at equal parameters, and rounding one number at a time."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qtnc.planner.baselines import GROUP, baselines_of, rounded
from qtnc.structures.structure import Problem
from qtnc.tensor.metric import RIDGE

Matrix = NDArray[np.float64]
Weights = Callable[[str, int, int, int], Matrix]
Covariances = Callable[[str, int, int], Matrix | None]

kinds = st.sampled_from(["dense", "thin", "sparse", "zero"])
sizes = st.integers(1, 14)
long = st.integers(1, 100)
groups = st.integers(1, 40)
seeds = st.integers(0, 2**32 - 1)


def output_error(x: Matrix, weight: Matrix, other: Matrix) -> float:
    """``|X(W - W')| / |XW|``, zero by zero being zero."""
    distance, norm = np.linalg.norm(x @ (weight - other)), np.linalg.norm(x @ weight)
    return float(distance / norm) if distance else 0.0


def truncated(weight: Matrix, rank: int) -> Matrix:
    u, s, vt = np.linalg.svd(weight, full_matrices=False)
    return np.asarray((u[:, :rank] * s[:rank]) @ vt[:rank])


@given(kind=kinds, rows=sizes, columns=sizes, parameters=st.integers(0, 500), seed=seeds)
@settings(max_examples=80, deadline=None)
def test_svd_has_the_rank_that_the_parameters_buy(
    make_weight: Weights, kind: str, rows: int, columns: int, parameters: int, seed: int
) -> None:
    weight = make_weight(kind, rows, columns, seed)
    found = baselines_of(Problem(weight), parameters)
    rank = max(k for k in range(1, min(rows, columns) + 1) if k == 1 or k * (rows + columns) <= parameters)
    # Both are an SVD's truncation, right to a few 1e-16 of |W|.
    want = output_error(np.eye(rows), weight, truncated(weight, rank))
    assert found.svd == pytest.approx(want, abs=1e-13)
    assert found.whitened_svd is None


@given(rows=sizes, columns=sizes, parameters=st.integers(0, 500), seed=seeds)
@settings(max_examples=60, deadline=None)
def test_with_data_all_errors_are_those_of_the_output(rows: int, columns: int, parameters: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((rows, columns))
    x = rng.standard_normal((3 * rows, rows)) * 10.0 ** rng.uniform(-1, 1, rows)
    covariance = x.T @ x / len(x)
    found = baselines_of(Problem(weight, covariance), parameters)
    rank = max(1, min(rows, columns, parameters // (rows + columns)))
    # Squares of errors are sums over C, whose eigenvalues span some 1e6: they are right to some 1e-10.
    close = {"rel": 1e-6, "abs": 1e-6}
    assert found.svd == pytest.approx(output_error(x, weight, truncated(weight, rank)), **close)
    assert found.int8 == pytest.approx(output_error(x, weight, rounded(weight, 8, rows)), **close)
    assert found.int4 == pytest.approx(output_error(x, weight, rounded(weight, 4, GROUP)), **close)
    # The closest XW' of a rank is the truncated SVD of XW. With its ridge the fit is the closest in C + ridge, where
    # the other is at most |W| further off than in C.
    assert found.whitened_svd is not None
    least = output_error(np.eye(len(x)), x @ weight, truncated(x @ weight, rank))
    ridge = RIDGE * float(np.mean(np.diag(covariance)))
    slack = ridge * float(np.sum(weight**2)) / float(np.einsum("ij,ij->", weight, covariance @ weight))
    assert least**2 - 1e-9 <= found.whitened_svd**2 <= min(least, found.svd) ** 2 + slack + 1e-9


def by_hand(weight: Matrix, bits: int, group: int) -> Matrix:
    """Round one number at a time."""
    top = 2 ** (bits - 1) - 1
    found = np.zeros_like(weight)
    for column in range(weight.shape[1]):
        for start in range(0, weight.shape[0], group):
            part = [float(w) for w in weight[start : start + group, column]]
            scale = max(abs(w) for w in part) / top
            for k, w in enumerate(part):
                level = round(w / scale) if scale else 0
                assert abs(level) <= top
                found[start + k, column] = level * scale
    return found


@given(kind=kinds, bits=st.sampled_from([2, 3, 4, 8]), group=groups, rows=long, columns=st.integers(1, 4), seed=seeds)
@settings(max_examples=60, deadline=None)
def test_rounding_is_that_of_one_number_at_a_time(
    make_weight: Weights, kind: str, bits: int, group: int, rows: int, columns: int, seed: int
) -> None:
    weight = make_weight(kind, rows, columns, seed)
    found = rounded(weight, bits, group)
    # The same three operations in double, so the same numbers.
    np.testing.assert_array_equal(found, by_hand(weight, bits, group))
    # Half a step is the most that any number moves; the largest of a group does not move but for rounding.
    steps = [np.abs(weight[k - k % group : k - k % group + group]).max(axis=0) for k in range(rows)]
    assert (np.abs(found - weight) <= np.array(steps) / (2 ** (bits - 1) - 1) * (0.5 + 1e-12)).all()
    np.testing.assert_allclose(np.abs(found).max(), np.abs(weight).max(), rtol=1e-15)


@given(
    bits=st.sampled_from([(2, 3), (2, 4), (2, 8), (3, 5), (3, 7), (4, 7)]),
    group=groups,
    rows=long,
    columns=st.integers(1, 4),
    seed=seeds,
)
@settings(max_examples=60, deadline=None)
def test_a_finer_grid_is_never_worse(bits: tuple[int, int], group: int, rows: int, columns: int, seed: int) -> None:
    """The levels of the first are among those of the second: 1 divides all, 3 divides 15 and 63, 7 divides 63."""
    weight = np.random.default_rng(seed).standard_normal((rows, columns))
    coarse, fine = (np.abs(rounded(weight, b, group) - weight) for b in bits)
    assert (fine <= coarse + 1e-14 * np.abs(weight).max()).all()


@given(rows=st.integers(8, 100), columns=st.integers(4, 12), seed=seeds)
@settings(max_examples=60, deadline=None)
def test_eight_bits_are_better_than_four(rows: int, columns: int, seed: int) -> None:
    """Steps are 18 times finer; that 28 normal numbers or more all lie on the coarse grid does not happen."""
    weight = np.random.default_rng(seed).standard_normal((rows, columns))
    found = baselines_of(Problem(weight), 10)
    assert 0.0 < found.int8 < found.int4 < 0.5
    # One scale a column at 8 bits, one for 32 inputs at 4; both sides are norms of the same numbers.
    for error, bits, group in ((found.int8, 8, rows), (found.int4, 4, GROUP)):
        assert error == pytest.approx(output_error(np.eye(rows), weight, by_hand(weight, bits, group)), rel=1e-12)


@given(bits=st.sampled_from([4, 8]), group=groups, rows=long, seed=seeds)
@settings(max_examples=40, deadline=None)
def test_groups_are_rounded_apart_the_last_one_as_it_is(bits: int, group: int, rows: int, seed: int) -> None:
    weight = np.random.default_rng(seed).standard_normal((rows, 3))
    parts = [rounded(weight[k : k + group], bits, group) for k in range(0, rows, group)]
    np.testing.assert_array_equal(rounded(weight, bits, group), np.concatenate(parts))
    last = weight[rows - rows % group :]
    if len(last):
        np.testing.assert_array_equal(parts[-1], rounded(last, bits, len(last)))


def test_zeros_stay_zero() -> None:
    weight = np.random.default_rng(0).standard_normal((40, 3))
    weight[:, 1] = 0.0
    weight[:GROUP, 2] = 0.0
    for bits in (4, 8):
        found = rounded(weight, bits, GROUP)
        assert not np.any(found[:, 1])
        assert not np.any(found[:GROUP, 2])
        assert np.any(found[GROUP:, 2])
    found = baselines_of(Problem(np.zeros((40, 3))), 10)
    assert (found.svd, found.int8, found.int4) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("scale", [1e-150, 1e-30, 1e30, 1e150])
def test_the_scale_does_not_matter(scale: float) -> None:
    weight = np.random.default_rng(0).standard_normal((40, 6))
    plain, scaled = (baselines_of(Problem(s * weight), 100) for s in (1.0, scale))
    for name in ("svd", "int8", "int4"):
        assert getattr(scaled, name) == pytest.approx(getattr(plain, name), rel=1e-9)
