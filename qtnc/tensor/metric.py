"""The error that counts: how far the outputs move, measured on the inputs that really come."""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

RIDGE = 1e-6
"""Share of the mean variance added to a covariance before it is factorised, so that directions which the data
never visited still count a little and an unlimited fit reproduces the weight everywhere."""


def relative_error(weight: Matrix, approximation: Matrix, covariance: Matrix | None = None) -> float:
    """Return ``|X(W - W')|_F / |XW|_F``, with X known by its covariance ``X^T X / rows``; identity when None.

    weight, approximation: (M, N). covariance: (M, M). Zero by zero counts as zero.
    """
    scale = norm(weight, covariance)
    distance = norm(weight - approximation, covariance)
    if scale == 0.0:
        return 0.0 if distance == 0.0 else float("inf")
    return distance / scale


def norm(matrix: Matrix, covariance: Matrix | None = None) -> float:
    """Return ``|X A|_F / sqrt(rows)`` of a matrix A of shape (M, N)."""
    if covariance is None:
        return float(np.linalg.norm(matrix))
    return float(np.sqrt(max(0.0, np.einsum("ij,ij->", matrix, covariance @ matrix))))


def regularise(covariance: Matrix, ridge: float = RIDGE) -> Matrix:
    """Return ``C + ridge * mean(diag C) * I``: positive definite for every non-zero C; the identity for zero C."""
    size = len(covariance)
    mean = float(np.trace(covariance)) / size
    if mean <= 0.0:
        return np.eye(size)
    return covariance + ridge * mean * np.eye(size)


def root(covariance: Matrix) -> Matrix:
    """Return the lower triangular L with ``L L^T`` equal to the regularised covariance."""
    regular = regularise(covariance)
    try:
        return np.asarray(np.linalg.cholesky(regular))
    except np.linalg.LinAlgError:
        # Rounding made a huge, nearly singular covariance indefinite; its eigenvalues are cut at the ridge.
        values, vectors = np.linalg.eigh(regular)
        floor = RIDGE * float(values[-1])
        _, upper = np.linalg.qr((vectors * np.sqrt(np.maximum(values, floor))).T)
        return np.asarray(upper.T)
