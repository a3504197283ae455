"""The error that counts, against its definition on sampled inputs."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qtnc.tensor.metric import RIDGE, norm, regularise, relative_error, root

Matrix = NDArray[np.float64]
Weights = Callable[[str, int, int, int], Matrix]
Covariances = Callable[[str, int, int], Matrix | None]

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 12)


@settings(max_examples=60, deadline=None)
@given(samples=st.integers(1, 40), rows=sizes, columns=sizes, seed=seeds)
def test_equals_the_error_of_the_outputs(samples: int, rows: int, columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((samples, rows))
    w, v = rng.standard_normal((2, rows, columns))
    want = np.linalg.norm(x @ (w - v)) / np.linalg.norm(x @ w)
    # C is a sum of squares, so the squared norms lose some 1e-14 of |x|^2 |w|^2; both sides are of that order.
    assert relative_error(w, v, x.T @ x / samples) == pytest.approx(want, rel=1e-9)
    assert norm(w, x.T @ x / samples) == pytest.approx(np.linalg.norm(x @ w) / np.sqrt(samples), rel=1e-9)


@given(rows=sizes, columns=sizes, seed=seeds)
@settings(max_examples=20, deadline=None)
def test_without_data_it_is_the_frobenius_error(rows: int, columns: int, seed: int) -> None:
    w, v = np.random.default_rng(seed).standard_normal((2, rows, columns))
    want = np.linalg.norm(w - v) / np.linalg.norm(w)
    assert relative_error(w, v) == pytest.approx(want, rel=1e-13)
    assert relative_error(w, v, np.eye(rows)) == pytest.approx(want, rel=1e-13)


def test_zero_by_zero_is_zero_and_something_by_zero_is_infinite() -> None:
    zero, one = np.zeros((2, 3)), np.ones((2, 3))
    assert relative_error(zero, zero) == 0.0
    assert relative_error(zero, one) == np.inf
    # The data never visits the second input, so a change there does not count.
    blind = np.diag([1.0, 0.0])
    assert relative_error(one, one + np.array([[0.0] * 3, [5.0] * 3]), blind) == 0.0


@given(kind=st.sampled_from(["full", "singular", "steep", "zero"]), size=sizes, seed=seeds)
@settings(max_examples=60, deadline=None)
def test_the_regularised_covariance_is_positive_definite(
    make_covariance: Covariances, kind: str, size: int, seed: int
) -> None:
    covariance = make_covariance(kind, size, seed)
    assert covariance is not None
    regular = regularise(covariance)
    mean = np.trace(covariance) / size
    least = np.linalg.eigvalsh(regular)[0]
    # eigvalsh is off by a few rounding errors of the largest eigenvalue, which is at most size * mean.
    assert least >= (RIDGE * mean if mean else 1.0) - 1e-14 * size * mean
    lower = root(covariance)
    assert np.array_equal(lower, np.tril(lower))
    np.testing.assert_allclose(lower @ lower.T, regular, atol=1e-13 * size * max(mean, 1.0))


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_the_root_survives_a_covariance_that_rounding_made_indefinite(scale: float) -> None:
    rng = np.random.default_rng(0)
    vectors = np.linalg.qr(rng.standard_normal((20, 20)))[0]
    values = np.full(20, -1e-3)
    values[0] = 20.0
    covariance = scale * (vectors * values) @ vectors.T
    with pytest.raises(np.linalg.LinAlgError):
        np.linalg.cholesky(regularise(covariance))
    lower = root(covariance)
    assert np.isfinite(lower).all()
    assert np.allclose(lower, np.tril(lower), atol=0.0)
    # Only the negative part is changed: 1e-3 of a largest eigenvalue of 20.
    np.testing.assert_allclose(lower @ lower.T, covariance, atol=2e-3 * scale)


def test_a_covariance_of_any_scale_gives_the_same_relative_error() -> None:
    rng = np.random.default_rng(1)
    w, v = rng.standard_normal((2, 8, 5))
    x = rng.standard_normal((30, 8))
    want = relative_error(w, v, x.T @ x)
    for scale in (1e-200, 1e-20, 1e20, 1e200):
        assert relative_error(w, v, scale * (x.T @ x)) == pytest.approx(want, rel=1e-12)
