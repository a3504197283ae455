"""Alternating least squares: it never loses, and where the optimum is known it finds it."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qtnc.tensor import als
from qtnc.tensor.als import polish
from qtnc.tensor.lowrank import spectrum
from qtnc.tensor.metric import regularise, relative_error
from qtnc.tensor.mpo import bonds_of, dense, tt_svd
from qtnc.tensor.sites import balanced, features, matrix_sites, uniform_bonds

Matrix = NDArray[np.float64]
Weights = Callable[[str, int, int, int], Matrix]
Covariances = Callable[[str, int, int], Matrix | None]

kinds = st.sampled_from(["dense", "thin", "sparse", "zero"])
metrics = st.sampled_from(["none", "full", "singular", "steep", "zero"])
sizes = st.integers(1, 24)
seeds = st.integers(0, 2**32 - 1)


@given(
    kind=kinds,
    metric=metrics,
    rows=sizes,
    columns=sizes,
    count=st.integers(2, 4),
    bond=st.integers(1, 12),
    sweeps=st.integers(0, 4),
    seed=seeds,
)
@settings(max_examples=120, deadline=None)
def test_the_error_never_rises_and_the_bonds_stay(
    make_weight: Weights,
    make_covariance: Covariances,
    kind: str,
    metric: str,
    rows: int,
    columns: int,
    count: int,
    bond: int,
    sweeps: int,
    seed: int,
) -> None:
    weight, covariance = make_weight(kind, rows, columns, seed), make_covariance(metric, rows, seed)
    sites = balanced(rows, columns, count)
    bonds = uniform_bonds(sites, bond)
    start, _ = tt_svd(weight, sites, bonds)
    errors = [relative_error(weight, dense(start, weight.shape), covariance)]
    for more in (sweeps, sweeps + 2):
        found = polish(weight, start, covariance, more)
        assert bonds_of(found) == bonds
        assert all(np.isfinite(core).all() for core in found)
        errors.append(relative_error(weight, dense(found, weight.shape), covariance))
    # More sweeps from the same start pass through the same cores, so the promise is exact.
    assert errors[2] <= errors[1] <= errors[0]


@given(rows=st.integers(2, 10), columns=st.integers(2, 10), metric=st.sampled_from(["full", "steep"]), seed=seeds)
@settings(max_examples=15, deadline=None)
def test_on_low_rank_sites_it_finds_the_whitened_svd(
    make_covariance: Covariances, rows: int, columns: int, metric: str, seed: int
) -> None:
    # A spectrum that falls fast in the metric, since the sweeps are a power iteration: a gap of 10 gains two digits.
    rng = np.random.default_rng(seed)
    covariance = make_covariance(metric, rows, seed)
    assert covariance is not None
    least = min(rows, columns)
    u, v = np.linalg.qr(rng.standard_normal((rows, least)))[0], np.linalg.qr(rng.standard_normal((columns, least)))[0]
    values = 10.0 ** -np.arange(least)
    weight = np.linalg.solve(np.linalg.cholesky(regularise(covariance)).T, (u * values) @ v.T)
    rank = max(1, least // 2)
    start, _ = tt_svd(weight, matrix_sites(rows, columns), (rank,))
    found = relative_error(weight, dense(polish(weight, start, covariance, sweeps=12), weight.shape), covariance)
    # Both minimise with the ridge, 1e-6 of the mean variance, and are measured without it.
    assert found <= spectrum(weight, covariance).error(rank) + 1e-5
    # No matrix of the rank is below the tail of the singular values of L^T W, here without any ridge.
    exact = np.linalg.svd(np.linalg.cholesky(covariance).T @ weight, compute_uv=False)
    assert found >= np.linalg.norm(exact[rank:]) / np.linalg.norm(exact) - 1e-9


@given(m=st.integers(1, 5), n=st.integers(1, 5), p=st.integers(1, 5), q=st.integers(1, 5), seed=seeds)
@settings(max_examples=30, deadline=None)
def test_two_plain_sites_are_already_at_the_optimum(m: int, n: int, p: int, q: int, seed: int) -> None:
    weight = np.random.default_rng(seed).standard_normal((m * p, n * q))
    for bond in range(1, min(m * n, p * q) + 1):
        start, best = tt_svd(weight, ((m, n), (p, q)), (bond,))
        found = polish(weight, start, None)
        assert relative_error(weight, dense(found, weight.shape)) == pytest.approx(best, abs=1e-13)


def test_three_plain_sites_gain() -> None:
    weight = np.random.default_rng(0).standard_normal((27, 27))
    sites = balanced(27, 27, 3)
    start, error = tt_svd(weight, sites, (4, 4))
    found = polish(weight, start, None)
    assert relative_error(weight, dense(found, weight.shape)) < error - 1e-3


def test_the_data_metric_gains_where_it_is_far_from_the_plain_one(make_covariance: Covariances) -> None:
    weight = np.random.default_rng(0).standard_normal((16, 16))
    covariance = make_covariance("steep", 16, 0)
    sites = balanced(16, 16, 2)
    start, _ = tt_svd(weight, sites, (4,))
    found = polish(weight, start, covariance)
    before = relative_error(weight, dense(start, weight.shape), covariance)
    assert relative_error(weight, dense(found, weight.shape), covariance) < 0.5 * before


@given(rows=st.integers(4, 16), columns=st.integers(4, 16), count=st.integers(2, 3), bond=st.integers(1, 5), seed=seeds)
@settings(max_examples=20, deadline=None)
def test_conjugate_gradients_agree_with_the_direct_solution(
    make_covariance: Covariances, rows: int, columns: int, count: int, bond: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((rows, columns))
    x = rng.standard_normal((20 * rows, rows))  # condition about 3, so that 40 steps suffice
    covariance = x.T @ x / len(x)
    sites = balanced(rows, columns, count)
    start, _ = tt_svd(weight, sites, uniform_bonds(sites, bond))
    direct = polish(weight, start, covariance, sweeps=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(als, "DIRECT_LIMIT", 0)
        patch.setattr(als, "CG_STEPS", 40)
        descended = polish(weight, start, covariance, sweeps=1)
    errors = [relative_error(weight, dense(cores, weight.shape), covariance) for cores in (direct, descended)]
    if features(sites) == weight.shape:
        # The residual is 1e-8 of the right side and the condition small, sweep by sweep.
        assert errors[0] == pytest.approx(errors[1], abs=1e-6)
    # Padded rows have a weight of 1e-6, so that 40 steps need not finish them; they do not count.
    assert errors[1] <= relative_error(weight, dense(start, weight.shape), covariance)


def test_a_sweep_solves_each_core_exactly() -> None:
    # One core of three is free: its least squares problem is written out and solved by numpy.
    rng = np.random.default_rng(5)
    weight = rng.standard_normal((12, 12))
    x = rng.standard_normal((60, 12))
    covariance = regularise(x.T @ x / 60)
    sites = ((2, 2), (2, 3), (3, 2))
    cores = list(tt_svd(weight, sites, (3, 3))[0])
    problem = als._Problem(weight, sites, x.T @ x / 60)
    als._orthogonalise(cores, 1)
    solved = [cores[0], problem.solve(cores, 1), cores[2]]
    lower = np.linalg.cholesky(covariance)
    columns = []
    for index in np.ndindex(cores[1].shape):
        unit = np.zeros(cores[1].shape)
        unit[index] = 1.0
        columns.append((lower.T @ dense((cores[0], unit, cores[2]), (12, 12))).ravel())
    want = np.linalg.lstsq(np.array(columns).T, (lower.T @ weight).ravel(), rcond=None)[0]
    np.testing.assert_allclose(solved[1].ravel(), want, atol=1e-8)


def test_one_core_is_the_weight_and_stays() -> None:
    core = np.ones((1, 2, 2, 1))
    assert polish(np.ones((2, 2)), (core,), None)[0] is core
