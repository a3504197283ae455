"""Spectral decay against eigenvalues of the Gram matrix, and where it is known."""

from collections.abc import Callable
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qtnc.tensor.decay import spectral_decay

Matrix = NDArray[np.float64]
Weights = Callable[[str, int, int, int], Matrix]

ROUNDING = 1e-9
"""Eigenvalues of a Gram matrix are right to some 1e-16 of the largest, which is no less than 1/40 of the whole."""


@settings(deadline=None)
@given(
    kind=st.sampled_from(["dense", "thin", "sparse", "zero"]),
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    seed=st.integers(0, 2**32 - 1),
)
def test_it_is_the_tail_of_the_gram_matrix(make_weight: Weights, kind: str, rows: int, columns: int, seed: int) -> None:
    weight = make_weight(kind, rows, columns, seed)
    squares = np.sort(np.linalg.eigvalsh(weight @ weight.T if rows <= columns else weight.T @ weight))[::-1]
    total = squares.sum()
    expected = squares[ceil(len(squares) / 10) :].sum() / total if total > 0.0 else 0.0
    assert spectral_decay(weight) == pytest.approx(expected, abs=ROUNDING)


@pytest.mark.parametrize(("size", "expected"), [(1, 0.0), (9, 8 / 9), (10, 0.9), (11, 9 / 11), (40, 0.9)])
def test_equal_values(size: int, expected: float) -> None:
    assert spectral_decay(np.eye(size)) == pytest.approx(expected, abs=ROUNDING)


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_scale_does_not_matter(scale: float) -> None:
    weight = np.random.default_rng(0).standard_normal((12, 20))
    assert spectral_decay(scale * weight) == pytest.approx(spectral_decay(weight), abs=ROUNDING)
