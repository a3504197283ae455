"""Weights and covariances of every kind that a fit must survive, made from a seed."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


@pytest.fixture(scope="session")
def make_weight() -> Callable[[str, int, int, int], Matrix]:
    """A weight (M, N): ``dense``, ``thin`` (rank 2 at most), ``sparse`` (zero rows and columns) or ``zero``."""

    def make(kind: str, rows: int, columns: int, seed: int) -> Matrix:
        rng = np.random.default_rng(seed)
        if kind == "thin":
            return np.asarray(rng.standard_normal((rows, 2)) @ rng.standard_normal((2, columns)))
        weight = rng.standard_normal((rows, columns))
        if kind == "sparse":
            weight[rng.random(rows) < 0.5] = 0.0
            weight[:, rng.random(columns) < 0.5] = 0.0
        if kind == "zero":
            weight[:] = 0.0
        return weight

    return make


@pytest.fixture(scope="session")
def make_covariance() -> Callable[[str, int, int], Matrix | None]:
    """A covariance (M, M): ``none``, ``full``, ``singular`` (few samples), ``steep`` (scales 1e-3 to 1e3), ``zero``."""

    def make(kind: str, size: int, seed: int) -> Matrix | None:
        rng = np.random.default_rng(seed + 1)
        if kind == "none":
            return None
        if kind == "zero":
            return np.zeros((size, size))
        samples = max(1, size // 3) if kind == "singular" else 4 * size
        x = rng.standard_normal((samples, size))
        if kind == "steep":
            x *= 10.0 ** rng.uniform(-3.0, 3.0, size)
        return np.asarray(x.T @ x / samples)

    return make
