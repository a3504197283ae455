"""Fast TT-SVD of a matrix for one use: the nearest operator as a matrix again, not its cores."""

from math import prod
from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from qtnc.tensor.sites import Sites

Floats = NDArray[Any]
"""float32 or float64; what comes out has the type of what went in."""


def truncated(weight: Floats, sites: Sites, bonds: tuple[int, ...]) -> Floats:
    """Nearest operator, quasi-optimal beyond two sites, of a matrix (M, N) that the sites span exactly.

    Of each cut only the kept singular vectors are computed, from the smaller Gram matrix: singular values below the
    root of the rounding error are lost, which truncation drops anyway. The type must hold squares of the weight.
    """
    count = len(sites)
    order = [axis for k in range(count) for axis in (k, count + k)]
    split = weight.reshape([m for m, _ in sites] + [n for _, n in sites]).transpose(order)
    rest = np.ascontiguousarray(split).reshape(1, -1)
    left: list[Floats] = []
    for (m, n), bond in zip(sites, bonds, strict=False):
        matrix = rest.reshape(len(rest) * m * n, -1)
        vectors = _leading(matrix, bond)
        left.append(vectors)
        rest = vectors.T @ matrix
    for vectors in reversed(left):
        rest = vectors @ rest.reshape(vectors.shape[1], -1)
    modes = [size for site in sites for size in site]
    whole = rest.reshape(modes).transpose([*range(0, 2 * count, 2), *range(1, 2 * count, 2)])
    return np.ascontiguousarray(whole).reshape(prod(m for m, _ in sites), -1)


def _leading(matrix: Floats, count: int) -> Floats:
    """Leading left singular vectors as columns."""
    rows, columns = matrix.shape
    keep = min(count, rows, columns)
    if keep == rows:
        return np.eye(rows, dtype=matrix.dtype)
    if rows <= columns:
        return _top(matrix @ matrix.T, keep)
    right = _top(matrix.T @ matrix, keep)
    # An orthonormal basis of the image; where the rank is less than the bond, qr fills it up.
    return np.asarray(np.linalg.qr(matrix @ right)[0])


def _top(gram: Floats, count: int) -> Floats:
    size = len(gram)
    _, vectors = scipy.linalg.eigh(
        gram, subset_by_index=[size - count, size - 1], driver="evr", overwrite_a=True, check_finite=False
    )
    return np.asarray(vectors)
