"""The leading vectors against numpy's full SVD: never more than 1 % above its error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qtnc.tensor import leading as module
from qtnc.tensor.leading import by_krylov, leading

Matrix = NDArray[np.float64]

ALLOWED = 1.01
ROUNDING = 1e-13
"""Errors below are rounding of the norm."""

kinds = st.sampled_from(
    ["flat", "gaussian", "slow", "steep", "steeper", "step", "spike", "two scales", "deficient", "zero"]
)
seeds = st.integers(0, 2**32 - 1)


def values_of(kind: str, size: int, count: int) -> Matrix:
    """Singular values, falling; ``count`` is where they will be cut."""
    i = np.arange(size)
    found: dict[str, Matrix] = {
        "flat": np.ones(size),
        "slow": (i + 1.0) ** -0.5,
        "steep": np.exp(-i / 20),
        "steeper": np.exp(-i / 2),
        "step": np.where(i < count, 1.0, 0.99),
        "spike": np.where(i < 1, 1.0, 1e-7 * np.sqrt(1.0 - i / size)),
        "two scales": np.where(i < count // 2, 1.0, 1e-8 / np.sqrt(i + 1.0)),
        "deficient": np.where(i < count // 2, 1.0, 0.0),
        "zero": np.zeros(size),
    }
    return found[kind]


def matrix_of(kind: str, rows: int, columns: int, count: int, seed: int) -> Matrix:
    rng = np.random.default_rng(seed)
    if kind == "gaussian":
        return rng.standard_normal((rows, columns))
    size = min(rows, columns)
    u, v = (np.linalg.qr(rng.standard_normal((n, size)))[0] for n in (rows, columns))
    return np.asarray((u * values_of(kind, size, count)) @ v.T)


def check(matrix: Matrix, count: int, left: Matrix, rest: Matrix) -> float:
    """Measure against the full SVD, and return the error."""
    norm = float(np.linalg.norm(matrix))
    assert left.shape == (len(matrix), count)
    assert rest.shape == (count, matrix.shape[1])
    np.testing.assert_allclose(left.T @ left, np.eye(count), atol=1e-12)
    np.testing.assert_allclose(rest, left.T @ matrix, atol=ROUNDING * norm)
    error = float(np.linalg.norm(matrix - left @ rest))
    best = float(np.linalg.norm(np.linalg.svd(matrix, compute_uv=False)[count:]))
    assert error <= ALLOWED * best + ROUNDING * norm
    return error


@given(kind=kinds, rows=st.integers(1, 60), columns=st.integers(1, 60), data=st.data(), exact=st.booleans(), seed=seeds)
@settings(max_examples=150, deadline=None)
def test_tiny_and_small_matrices(
    kind: str, rows: int, columns: int, data: st.DataObject, exact: bool, seed: int
) -> None:
    count = data.draw(st.integers(1, min(rows, columns)))
    matrix = matrix_of(kind, rows, columns, count, seed)
    left, rest, lost = leading(matrix, count, exact=exact)
    norm = float(np.linalg.norm(matrix))
    # Read off squares only where a hundredth of them is left.
    assert lost == pytest.approx(check(matrix, count, left, rest), abs=ROUNDING * norm)
    if exact:
        values = np.linalg.svd(matrix, compute_uv=False)
        np.testing.assert_allclose(
            np.linalg.norm(rest, axis=1)[values[:count] > 1e-4 * values[0]],
            values[:count][values[:count] > 1e-4 * values[0]],
            atol=1e-11 * norm,
        )


@given(kind=kinds, rows=st.integers(240, 400), columns=st.integers(240, 400), count=st.integers(1, 15), seed=seeds)
@settings(max_examples=60, deadline=None)
def test_the_krylov_space(kind: str, rows: int, columns: int, count: int, seed: int) -> None:
    """Smaller than it is used for, so that many can be tried; the fewer blocks a side holds, the easier."""
    matrix = matrix_of(kind, rows, columns, count, seed)
    check(matrix, count, *by_krylov(matrix, count))


@pytest.mark.parametrize("kind", ["gaussian", "slow", "spike", "deficient"])
@pytest.mark.parametrize("shape", [(1100, 1300), (1300, 1100)])
def test_large_matrices_take_the_krylov_space(
    kind: str, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix = matrix_of(kind, *shape, 32, 0)
    monkeypatch.setattr(module, "by_gram", None)
    left, rest, lost = leading(matrix, 32)
    assert lost == pytest.approx(check(matrix, 32, left, rest), abs=ROUNDING * float(np.linalg.norm(matrix)))
    again = leading(matrix, 32)
    assert np.array_equal(left, again[0])
    assert np.array_equal(rest, again[1])
