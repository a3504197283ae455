"""The fast truncation against TT-SVD, and for two sites against numpy's SVD."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qtnc.tensor.mpo import dense, tt_svd
from qtnc.tensor.sites import Sites, features, full_bonds, matrix_sites, uniform_bonds
from qtnc.tensor.truncate import truncated

Matrix = NDArray[np.float64]
Weights = Callable[[str, int, int, int], Matrix]

TOLERANCE = {"float32": 1e-3, "float64": 1e-9}
"""Singular values come from a Gram matrix, so those below the root of the rounding error of the norm are lost."""

kinds = st.sampled_from(["dense", "thin", "sparse", "zero"])
dtypes = st.sampled_from(["float32", "float64"])
seeds = st.integers(0, 2**32 - 1)
shapes = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=2, max_size=4).map(tuple)


def error_of(weight: Matrix, nearest: Matrix) -> float:
    return float(np.linalg.norm(weight - nearest) / (np.linalg.norm(weight) or 1.0))


@given(kind=kinds, sites=shapes, bond=st.integers(1, 20), dtype=dtypes, seed=seeds)
@settings(max_examples=120, deadline=None)
def test_it_is_as_near_as_the_svd(
    make_weight: Weights, kind: str, sites: Sites, bond: int, dtype: str, seed: int
) -> None:
    weight = make_weight(kind, *features(sites), seed).astype(dtype)
    bonds = uniform_bonds(sites, bond)
    found = truncated(weight, sites, bonds)
    assert found.dtype == weight.dtype
    assert found.shape == weight.shape
    assert found.flags.c_contiguous
    wide = weight.astype(np.float64)
    cores, _ = tt_svd(wide, sites, bonds)
    assert error_of(wide, found) == pytest.approx(error_of(wide, dense(cores, weight.shape)), abs=TOLERANCE[dtype])
    # What it makes is of that bond: truncated again it stays.
    assert error_of(wide, found - truncated(found, sites, bonds) + wide) <= TOLERANCE[dtype]
    # Its argument is left alone.
    np.testing.assert_array_equal(weight, make_weight(kind, *features(sites), seed).astype(dtype))


@given(m=st.integers(1, 6), n=st.integers(1, 6), p=st.integers(1, 6), q=st.integers(1, 6), dtype=dtypes, seed=seeds)
@settings(max_examples=60, deadline=None)
def test_two_sites_are_a_truncated_svd(m: int, n: int, p: int, q: int, dtype: str, seed: int) -> None:
    weight = np.random.default_rng(seed).standard_normal((m * p, n * q)).astype(dtype)
    # Van Loan and Pitsianis: block (i, j) of W, flattened, is row (i, j) of the rearrangement.
    blocks = (weight[i * p : (i + 1) * p, j * q : (j + 1) * q] for i in range(m) for j in range(n))
    values = np.linalg.svd(np.array([block.ravel() for block in blocks]).astype(np.float64), compute_uv=False)
    for bond in range(1, len(values) + 1):
        tail = np.linalg.norm(values[bond:]) / np.linalg.norm(values)
        assert error_of(weight, truncated(weight, ((m, n), (p, q)), (bond,))) == pytest.approx(
            tail, abs=TOLERANCE[dtype]
        )


@given(kind=kinds, sites=shapes, dtype=dtypes, seed=seeds)
@settings(max_examples=60, deadline=None)
def test_full_bonds_reproduce_the_weight(make_weight: Weights, kind: str, sites: Sites, dtype: str, seed: int) -> None:
    weight = make_weight(kind, *features(sites), seed).astype(dtype)
    for bonds in (full_bonds(sites), tuple(bond + 3 for bond in full_bonds(sites))):
        assert error_of(weight, truncated(weight, sites, bonds)) <= 100 * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bond", [2, 3, 8])
def test_what_has_the_bond_stays(bond: int, dtype: str) -> None:
    """Rank deficient at every cut: three sites, two terms."""
    rng = np.random.default_rng(0)
    weight = sum(np.kron(np.kron(*rng.standard_normal((2, 4, 4))), rng.standard_normal((4, 4))) for _ in range(2))
    found = truncated(weight.astype(dtype), ((4, 4),) * 3, (bond, bond))
    # The Gram matrix does not blur what is kept.
    assert error_of(weight, found) <= 100 * np.finfo(dtype).eps


def test_low_rank_is_the_shape_of_one_cut() -> None:
    weight = np.random.default_rng(0).standard_normal((9, 40))
    u, s, v = np.linalg.svd(weight, full_matrices=False)
    for rank in (1, 4, 9):
        np.testing.assert_allclose(
            truncated(weight, matrix_sites(9, 40), (rank,)), (u[:, :rank] * s[:rank]) @ v[:rank], atol=1e-12
        )


def test_one_site_is_the_weight() -> None:
    weight = np.random.default_rng(0).standard_normal((4, 6))
    np.testing.assert_array_equal(truncated(weight, ((4, 6),), ()), weight)
