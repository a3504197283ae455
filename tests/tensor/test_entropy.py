"""Operator entanglement entropy against an independent numpy formulation, and where it is known."""

from collections.abc import Callable
from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qtnc.tensor.entropy import operator_entropy
from qtnc.tensor.sites import balanced, features

Matrix = NDArray[np.float64]
Weights = Callable[[str, int, int, int], Matrix]

ROUNDING = 1e-9
"""Bits: a share of the whole is right to some 1e-15, and an entropy amplifies that by a logarithm at most."""

kinds = st.sampled_from(["dense", "thin", "sparse", "zero"])
sizes = st.integers(1, 40)
seeds = st.integers(0, 2**32 - 1)


def von_neumann(weight: Matrix) -> float:
    """Entropy of the reduced density matrix of the first site, entry by entry from the blocks of the weight."""
    (m, n), (rows, columns) = sites = balanced(*weight.shape, 2)
    M, N = features(sites)
    padded = np.pad(weight, ((0, M - weight.shape[0]), (0, N - weight.shape[1])))
    blocks = [padded[i * rows : (i + 1) * rows, j * columns : (j + 1) * columns] for i in range(m) for j in range(n)]
    state = np.array([[np.vdot(a, b) for b in blocks] for a in blocks])
    if not np.trace(state):
        return 0.0
    shares = np.linalg.eigvalsh(state / np.trace(state))
    return float(-sum(p * log2(p) for p in shares if p > 0))


def orthonormal(size: int, count: int, rng: np.random.Generator) -> Matrix:
    """Matrices (count, size, size) that are orthogonal to each other and of norm 1."""
    return np.linalg.qr(rng.standard_normal((size * size, count)))[0].T.reshape(count, size, size)


@given(kind=kinds, rows=sizes, columns=sizes, seed=seeds)
@settings(max_examples=80, deadline=None)
def test_it_is_the_entropy_of_the_reduced_state(
    make_weight: Weights, kind: str, rows: int, columns: int, seed: int
) -> None:
    weight = make_weight(kind, rows, columns, seed)
    found = operator_entropy(weight)
    assert found == pytest.approx(von_neumann(weight), abs=ROUNDING)
    (m, n), (p, q) = balanced(rows, columns, 2)
    assert 0.0 <= found <= log2(min(m * n, p * q)) + ROUNDING


@given(m=st.integers(1, 5), n=st.integers(1, 5), seed=seeds)
@settings(max_examples=40, deadline=None)
def test_a_kronecker_product_has_none(m: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weight = np.kron(rng.standard_normal((m, n)), rng.standard_normal((m, n)))
    (a, b), _ = balanced(*weight.shape, 2)
    assert (a, b) == (m, n)
    assert operator_entropy(weight) == pytest.approx(0.0, abs=ROUNDING)


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("terms", [1, 2, 3, 4])
def test_orthogonal_terms_of_equal_weight_have_a_bit_for_each_doubling(size: int, terms: int) -> None:
    rng = np.random.default_rng(size)
    left, right = orthonormal(size, terms, rng), orthonormal(size, terms, rng)
    weight = np.sum([np.kron(a, b) for a, b in zip(left, right, strict=True)], axis=0)
    assert operator_entropy(weight) == pytest.approx(log2(terms), abs=ROUNDING)


def test_known_operators() -> None:
    """In bits: the controlled-NOT has one, the swap two, and neither has any alone on its qubits."""
    swap = np.eye(4)[[0, 2, 1, 3]]
    controlled_not = np.eye(4)[[0, 1, 3, 2]]
    assert operator_entropy(controlled_not) == pytest.approx(1.0, abs=ROUNDING)
    assert operator_entropy(swap) == pytest.approx(2.0, abs=ROUNDING)
    assert operator_entropy(np.eye(64)) == pytest.approx(0.0, abs=ROUNDING)


@given(kind=kinds, rows=sizes, columns=sizes, power=st.integers(-300, 300), seed=seeds)
@settings(max_examples=60, deadline=None)
def test_scale_does_not_matter(make_weight: Weights, kind: str, rows: int, columns: int, power: int, seed: int) -> None:
    weight = make_weight(kind, rows, columns, seed)
    assert operator_entropy(-weight * 10.0**power) == pytest.approx(operator_entropy(weight), abs=ROUNDING)


@pytest.mark.parametrize("shape", [(7, 7), (13, 31), (31, 1), (1, 1), (127, 64)])
def test_primes_are_padded(shape: tuple[int, int]) -> None:
    weight = np.random.default_rng(0).standard_normal(shape)
    assert operator_entropy(weight) == pytest.approx(von_neumann(weight), abs=ROUNDING)
    assert operator_entropy(np.zeros(shape)) == 0.0
