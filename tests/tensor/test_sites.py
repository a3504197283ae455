"""Shapes, bonds and counts, against brute force."""

from collections.abc import Callable, Iterator
from math import log2, prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qtnc.tensor.mpo import bonds_of, dense, tt_svd
from qtnc.tensor.sites import (
    Sites,
    balanced,
    candidates,
    clip_bonds,
    features,
    full_bonds,
    is_matrix,
    largest_bond,
    matrix_sites,
    modes,
    parameters,
    uniform_bonds,
)

Matrix = NDArray[np.float64]

shapes = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=2, max_size=5).map(tuple)
seeds = st.integers(0, 2**32 - 1)


def factorisations(size: int, count: int, least: int = 1) -> Iterator[tuple[int, ...]]:
    """All ways to write size as ``count`` rising factors."""
    if count == 1:
        if size >= least:
            yield (size,)
        return
    for factor in range(least, size + 1):
        if size % factor == 0:
            for rest in factorisations(size // factor, count - 1, factor):
                yield (factor, *rest)


@given(size=st.integers(1, 2000), count=st.integers(1, 11))
@settings(max_examples=150, deadline=None)
def test_modes_cover_the_size(size: int, count: int) -> None:
    found = modes(size, count)
    assert len(found) == count
    assert list(found) == sorted(found, reverse=True)
    assert size <= prod(found) <= size + size // 4 + 1


@given(size=st.integers(1, 300), count=st.integers(1, 5))
@settings(max_examples=80, deadline=None)
def test_modes_are_exact_and_most_even_where_that_is_possible(size: int, count: int) -> None:
    ratio = min(f[-1] / f[0] for f in factorisations(size, count))
    found = modes(size, count)
    if ratio <= 2:
        assert prod(found) == size
        assert found[0] / found[-1] == ratio
    else:
        # Padded: never less even than what exactness would have cost.
        assert found[0] / found[-1] <= ratio


@pytest.mark.parametrize(
    ("size", "count", "want"),
    [
        (4096, 2, (64, 64)),
        (4096, 3, (16, 16, 16)),
        (4096, 12, (2,) * 12),
        (768, 2, (32, 24)),
        (64, 6, (2,) * 6),
        (1, 3, (1, 1, 1)),
    ],
)
def test_modes_of_familiar_sizes(size: int, count: int, want: tuple[int, ...]) -> None:
    assert modes(size, count) == want


def test_a_prime_is_padded_a_little() -> None:
    assert prod(modes(50257, 2)) <= 50257 * 1.01
    assert modes(97, 2) == (10, 10)


@given(rows=st.integers(2, 400), columns=st.integers(2, 400))
@settings(max_examples=60, deadline=None)
def test_balanced_sites_hold_the_matrix_and_are_even(rows: int, columns: int) -> None:
    for count in range(2, int(log2(min(rows, columns))) + 1):
        sites = balanced(rows, columns, count)
        assert len(sites) == count
        M, N = features(sites)
        assert rows <= M <= rows * 1.25 + 1
        assert columns <= N <= columns * 1.25 + 1
        # Rows fall where columns rise.
        assert [m for m, _ in sites] == sorted((m for m, _ in sites), reverse=True)
        assert [n for _, n in sites] == sorted(n for _, n in sites)


@given(sites=shapes, seed=seeds)
@settings(max_examples=80, deadline=None)
def test_full_bonds_are_the_ranks_of_a_random_matrix(sites: Sites, seed: int) -> None:
    weight = np.random.default_rng(seed).standard_normal(features(sites))
    # A random matrix has full rank at every cut with probability one.
    cores, error = tt_svd(weight, sites, cutoff=1e-10)
    assert bonds_of(cores) == full_bonds(sites)
    assert error < 1e-13


@given(sites=shapes, data=st.data())
@settings(max_examples=100, deadline=None)
def test_clipped_bonds_are_the_largest_that_can_be_filled(sites: Sites, data: st.DataObject) -> None:
    asked = tuple(data.draw(st.integers(1, 300)) for _ in sites[1:])
    clipped = clip_bonds(sites, asked)
    ends = (1, *clipped, 1)
    for k, (m, n) in enumerate(sites):
        # Every core can have full rank seen from either side.
        assert ends[k + 1] <= ends[k] * m * n
        assert ends[k] <= m * n * ends[k + 1]
    assert all(c <= min(a, f) for c, a, f in zip(clipped, asked, full_bonds(sites), strict=True))
    assert clip_bonds(sites, clipped) == clipped
    # The matrix of random cores with the asked bonds has just the clipped ranks: nothing was lost.
    rng = np.random.default_rng(0)
    wide = (1, *asked, 1)
    cores = tuple(rng.standard_normal((wide[k], m, n, wide[k + 1])) for k, (m, n) in enumerate(sites))
    found, _ = tt_svd(dense(cores, features(sites)), sites, cutoff=1e-10)
    assert bonds_of(found) == clipped


@given(sites=shapes, data=st.data())
@settings(max_examples=60, deadline=None)
def test_parameters_are_the_elements_of_the_cores(sites: Sites, data: st.DataObject) -> None:
    bonds = tuple(data.draw(st.integers(1, 9)) for _ in sites[1:])
    ends = (1, *bonds, 1)
    cores = [np.zeros((ends[k], m, n, ends[k + 1])) for k, (m, n) in enumerate(sites)]
    assert parameters(sites, bonds) == sum(core.size for core in cores)


@given(sites=shapes, budget=st.integers(0, 3000))
@settings(max_examples=100, deadline=None)
def test_the_largest_bond_is_the_largest(sites: Sites, budget: int) -> None:
    top = max(full_bonds(sites))
    fitting = [b for b in range(1, top + 1) if parameters(sites, uniform_bonds(sites, b)) <= budget]
    assert largest_bond(sites, budget) == max(fitting, default=0)


@given(rows=st.integers(1, 300), columns=st.integers(1, 300))
@settings(max_examples=80, deadline=None)
def test_candidates_hold_the_matrix_and_begin_with_low_rank(rows: int, columns: int) -> None:
    found = candidates(rows, columns)
    assert found[0] == matrix_sites(rows, columns)
    assert is_matrix(found[0])
    assert len(set(found)) == len(found)
    for sites in found:
        M, N = features(sites)
        assert len(sites) >= 2
        assert rows <= M <= rows * 1.25 + 1
        assert columns <= N <= columns * 1.25 + 1


@given(size=st.integers(2, 64), other=st.integers(2, 64), rank=st.integers(1, 64))
@settings(max_examples=30, deadline=None)
def test_matrix_sites_count_what_low_rank_counts(size: int, other: int, rank: int) -> None:
    bonds = uniform_bonds(matrix_sites(size, other), rank)
    assert parameters(matrix_sites(size, other), bonds) == min(rank, size, other) * (size + other)


def test_the_functions_agree_with_the_shape_of_real_cores(
    make_weight: Callable[[str, int, int, int], Matrix],
) -> None:
    sites = balanced(30, 42, 3)
    bonds = uniform_bonds(sites, 7)
    cores, _ = tt_svd(make_weight("dense", 30, 42, 0), sites, bonds)
    assert bonds_of(cores) == bonds
    assert parameters(sites, bonds) == sum(core.size for core in cores)
