"""TT-SVD against the matrix it decomposes, and against an SVD of its Kronecker rearrangement."""

from collections.abc import Callable
from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qtnc.tensor.mpo import balance, bonds_of, dense, to_sites, tt_svd
from qtnc.tensor.sites import Sites, balanced, features, full_bonds, uniform_bonds

Matrix = NDArray[np.float64]
Weights = Callable[[str, int, int, int], Matrix]

kinds = st.sampled_from(["dense", "thin", "sparse", "zero"])
sizes = st.integers(1, 40)
seeds = st.integers(0, 2**32 - 1)
shapes = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=2, max_size=5).map(tuple)

ROUNDING = 1e-13
"""A few SVDs in a row lose a few rounding errors of the norm each."""


def entries(cores: tuple[Matrix, ...], sites: Sites) -> Matrix:
    """The matrix of a chain, entry by entry from the definition: a product of slices of the cores."""
    M, N = features(sites)
    found = np.empty((M, N))
    for i in range(M):
        for j in range(N):
            rows = np.unravel_index(i, [m for m, _ in sites])
            columns = np.unravel_index(j, [n for _, n in sites])
            product = np.eye(1)
            for core, a, b in zip(cores, rows, columns, strict=True):
                product = product @ core[:, a, b, :]
            found[i, j] = product[0, 0]
    return found


@given(sites=shapes, bond=st.integers(1, 5), seed=seeds)
@settings(max_examples=25, deadline=None)
def test_dense_is_the_product_of_the_slices(sites: Sites, bond: int, seed: int) -> None:
    sites = sites[:3]
    rng = np.random.default_rng(seed)
    ends = (1, *(bond,) * (len(sites) - 1), 1)
    cores = tuple(rng.standard_normal((ends[k], m, n, ends[k + 1])) for k, (m, n) in enumerate(sites))
    M, N = features(sites)
    np.testing.assert_allclose(dense(cores, (M, N)), entries(cores, sites), atol=1e-11)
    assert np.array_equal(dense(cores, (M, max(1, N - 1))), dense(cores, (M, N))[:, : max(1, N - 1)])


@given(kind=kinds, rows=sizes, columns=sizes, data=st.data(), seed=seeds)
@settings(max_examples=80, deadline=None)
def test_unlimited_bonds_reproduce_the_weight(
    make_weight: Weights, kind: str, rows: int, columns: int, data: st.DataObject, seed: int
) -> None:
    weight = make_weight(kind, rows, columns, seed)
    count = data.draw(st.integers(2, max(2, int(log2(max(2, rows, columns))))))
    sites = balanced(rows, columns, count)
    for bonds in (None, full_bonds(sites)):
        cores, error = tt_svd(weight, sites, bonds)
        assert bonds_of(cores) == full_bonds(sites)
        assert error <= ROUNDING
        np.testing.assert_allclose(dense(cores, weight.shape), weight, atol=ROUNDING * (1 + np.linalg.norm(weight)))


@given(kind=kinds, rows=sizes, columns=sizes, count=st.integers(2, 4), bond=st.integers(1, 30), seed=seeds)
@settings(max_examples=80, deadline=None)
def test_the_error_known_a_priori_bounds_the_measured_one(
    make_weight: Weights, kind: str, rows: int, columns: int, count: int, bond: int, seed: int
) -> None:
    weight = make_weight(kind, rows, columns, seed)
    sites = balanced(rows, columns, count)
    bonds = uniform_bonds(sites, bond)
    cores, error = tt_svd(weight, sites, bonds)
    # The shapes are those asked for, whatever the rank of the weight: what is stored is what was planned.
    assert bonds_of(cores) == bonds
    scale = float(np.linalg.norm(weight)) or 1.0
    measured = np.linalg.norm(dense(cores, weight.shape) - weight) / scale
    assert measured <= error + ROUNDING
    if features(sites) == weight.shape:
        assert measured == pytest.approx(error, abs=ROUNDING)


@given(sites=shapes, error=st.floats(1e-6, 1.0), seed=seeds)
@settings(max_examples=60, deadline=None)
def test_an_asked_error_is_held(sites: Sites, error: float, seed: int) -> None:
    weight = np.random.default_rng(seed).standard_normal(features(sites))
    cores, predicted = tt_svd(weight, sites, error=error)
    assert predicted <= error + ROUNDING
    assert np.linalg.norm(dense(cores, weight.shape) - weight) <= (error + ROUNDING) * np.linalg.norm(weight)


def test_a_loose_error_saves_bonds() -> None:
    weight = np.random.default_rng(0).standard_normal((16, 16))
    sites = balanced(16, 16, 4)
    wide, _ = tt_svd(weight, sites, error=1e-6)
    narrow, _ = tt_svd(weight, sites, error=0.9)
    assert max(bonds_of(narrow)) < max(bonds_of(wide)) == 16


@given(m=st.integers(1, 6), n=st.integers(1, 6), p=st.integers(1, 6), q=st.integers(1, 6), seed=seeds)
@settings(max_examples=40, deadline=None)
def test_two_sites_are_an_svd_of_the_kronecker_rearrangement(m: int, n: int, p: int, q: int, seed: int) -> None:
    weight = np.random.default_rng(seed).standard_normal((m * p, n * q))
    # Van Loan and Pitsianis: block (i, j) of W, flattened, is row (i, j) of the rearrangement.
    blocks = (weight[i * p : (i + 1) * p, j * q : (j + 1) * q] for i in range(m) for j in range(n))
    rearranged = np.array([block.ravel() for block in blocks])
    np.testing.assert_array_equal(to_sites(weight, ((m, n), (p, q))), rearranged)
    values = np.linalg.svd(rearranged, compute_uv=False)
    for bond in range(1, len(values) + 1):
        cores, error = tt_svd(weight, ((m, n), (p, q)), (bond,))
        assert error == pytest.approx(np.linalg.norm(values[bond:]) / np.linalg.norm(values), abs=ROUNDING)
        kronecker = sum(np.kron(cores[0][0, :, :, r], cores[1][r, :, :, 0]) for r in range(bond))
        np.testing.assert_allclose(dense(cores, weight.shape), kronecker, atol=1e-12)


@given(cutoff=st.floats(1e-6, 0.9), seed=seeds)
@settings(max_examples=40, deadline=None)
def test_the_cutoff_keeps_the_singular_values_above_it(cutoff: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    u, v = (np.linalg.qr(rng.standard_normal((12, 12)))[0] for _ in range(2))
    values = np.sort(10.0 ** rng.uniform(-6, 0, 12))[::-1]
    rearranged = (u * values) @ v.T
    weight = rearranged.reshape(3, 4, 4, 3).transpose(0, 2, 1, 3).reshape(12, 12)
    cores, _ = tt_svd(weight, ((3, 4), (4, 3)), cutoff=cutoff)
    share = values / values[0]
    assert np.count_nonzero(share > cutoff + 1e-12) <= bonds_of(cores)[0] <= np.count_nonzero(share > cutoff - 1e-12)


@given(kind=kinds, rows=sizes, columns=sizes, count=st.integers(2, 4), seed=seeds)
@settings(max_examples=40, deadline=None)
def test_balance_keeps_the_matrix_and_evens_the_cores(
    make_weight: Weights, kind: str, rows: int, columns: int, count: int, seed: int
) -> None:
    weight = 1e4 * make_weight(kind, rows, columns, seed)
    cores, _ = tt_svd(weight, balanced(rows, columns, count))
    even = balance(cores)
    np.testing.assert_allclose(dense(even, weight.shape), weight, atol=ROUNDING * (1 + np.linalg.norm(weight)))
    if np.any(weight):
        rms = [np.sqrt(np.mean(core**2)) for core in even]
        np.testing.assert_allclose(rms, rms[0], rtol=1e-10)
