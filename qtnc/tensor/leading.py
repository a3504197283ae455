"""Leading singular vectors of a matrix: as many as are kept, and no others.

Two ways, chosen by size. The Gram matrix of the smaller side, of which LAPACK computes only the leading eigenvectors,
is exact but for the rounding of squares. On large matrices of which little is kept, a block Krylov space from a seeded
random start needs a few products with the matrix and no square of it (Halko, Martinsson and Tropp, SIAM Rev. 53 (2011)
217; Musco and Musco, NeurIPS 2015, whose bound needs no gap between singular values).
"""

from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from qtnc.tensor.metric import Matrix

Floats = NDArray[Any]
"""float32 or float64; what comes out has the type of what went in."""

SPARE = 8
"""Columns of a Krylov block beyond those kept."""

STEPS = 7
"""Krylov blocks after the first, at most."""

GAIN = 0.005
"""The search ends when a block lowers the squared error by no more than this share, a quarter of the 2 % allowed."""

SMALL = 1024
"""Smaller sides below this go to the Gram matrix: it is exact, and takes a seventh of a second at most."""

BLOCKS = 16
"""Krylov blocks in the smaller side from which on the Krylov space is faster."""

ROUGH = 1e-5
"""Relative error below which squares are too coarse to tell singular vectors apart."""

ROUNDING = 1e-13
"""Relative error that counts as none."""


def leading(matrix: Matrix, count: int, *, exact: bool = False) -> tuple[Matrix, Matrix, float]:
    """Approximate a matrix (M, N) by ``left @ rest`` with an error at most 1 % above that of the full SVD.

    Parameters
    ----------
    count : columns to keep, at most min(M, N).
    exact : whether the singular values matter one by one, and not only what is left out. No Krylov space then.

    Returns
    -------
    ``left`` (M, count) with orthonormal columns, ``rest = left^T matrix`` (count, N), and the Frobenius norm of what is
    left out. The rows of ``rest`` are orthogonal and fall, their norms being the singular values, where ``exact`` is
    asked or something is left out.
    """
    rows, columns = matrix.shape
    if exact and count == min(rows, columns):
        return _by_svd(matrix, count)
    if count == rows:
        return np.eye(rows), matrix, 0.0
    if count == columns:
        return *np.linalg.qr(matrix), 0.0
    if not exact and min(rows, columns) >= max(SMALL, BLOCKS * (count + SPARE)):
        left, rest = by_krylov(matrix, count)
        return left, rest, left_out(matrix, left, rest)
    left = by_gram(matrix, count)
    rest = left.T @ matrix
    lost = left_out(matrix, left, rest)
    whole = float(np.linalg.norm(matrix))
    return _by_svd(matrix, count) if ROUNDING * whole < lost < ROUGH * whole else (left, rest, lost)


def left_out(matrix: Matrix, left: Matrix, rest: Matrix) -> float:
    """Frobenius norm of ``matrix - left @ rest``: by Pythagoras, or entry by entry where that would cancel."""
    whole = float(np.linalg.norm(matrix)) ** 2
    squared = whole - float(np.linalg.norm(rest)) ** 2
    return float(np.sqrt(squared)) if squared > 1e-2 * whole else float(np.linalg.norm(matrix - left @ rest))


def by_gram(matrix: Floats, count: int) -> Floats:
    """Leading left singular vectors (M, count) from the smaller Gram matrix, the largest first.

    Singular values below the root of the rounding error are lost, which truncation drops anyway. The type must hold
    squares of the matrix.
    """
    rows, columns = matrix.shape
    if rows <= columns:
        return _top(matrix @ matrix.T, count)
    # An orthonormal basis of the image; where the rank is less than the count, qr fills it up.
    return np.asarray(np.linalg.qr(matrix @ _top(matrix.T @ matrix, count))[0])


def by_krylov(matrix: Matrix, count: int) -> tuple[Matrix, Matrix]:
    """Leading left singular vectors (M, count) of a large matrix, and ``left^T matrix``, the largest first.

    Where the space leaves out less than squares can tell, the remainder gets a space of its own.
    """
    whole = float(np.linalg.norm(matrix))
    basis, image = _space(matrix, count)
    if ROUNDING * whole < left_out(matrix, basis, image) < ROUGH * whole:
        new = _orthonormal(_space(matrix - basis @ image, count)[0], basis)
        basis, image = np.hstack([basis, new]), np.vstack([image, new.T @ matrix])
    left, values, right = svd(image)
    return basis @ left[:, :count], values[:count, None] * right[:count]


def _space(matrix: Matrix, count: int) -> tuple[Matrix, Matrix]:
    """Orthonormal basis of a block Krylov space as columns, and ``basis^T matrix``.

    Blocks are added until one more hardly lowers the squared error of the best ``count`` vectors in the space.
    """
    whole = float(np.linalg.norm(matrix)) ** 2
    start = np.random.default_rng(0).standard_normal((matrix.shape[1], count + SPARE))
    basis = np.linalg.qr(matrix @ start)[0]
    block = image = basis.T @ matrix
    error = np.inf
    for _ in range(STEPS):
        last, error = error, whole - float(np.sum(scipy.linalg.eigvalsh(image @ image.T)[-count:]))
        if error <= ROUGH**2 * whole or last - error <= GAIN * error:
            break
        new = matrix @ block.T
        if np.linalg.norm(new - basis @ (basis.T @ new)) <= ROUNDING * whole:
            break  # the space holds all that this start can reach
        new = _orthonormal(new, basis)
        block = new.T @ matrix
        basis, image = np.hstack([basis, new]), np.vstack([image, block])
    return basis, image


def _orthonormal(new: Matrix, basis: Matrix) -> Matrix:
    """Orthonormal columns for a space outside the basis; twice, for what was nearly inside points anywhere at first."""
    for _ in range(2):
        new = np.linalg.qr(new - basis @ (basis.T @ new))[0]
    return new


def svd(matrix: Matrix) -> tuple[Matrix, Matrix, Matrix]:
    """All singular vectors and values."""
    # gesvd converges where gesdd, LAPACK's faster driver, sometimes gives up.
    try:
        left, values, right = scipy.linalg.svd(matrix, full_matrices=False, lapack_driver="gesdd")
    except np.linalg.LinAlgError:
        left, values, right = scipy.linalg.svd(matrix, full_matrices=False, lapack_driver="gesvd")
    return left, values, right


def _by_svd(matrix: Matrix, count: int) -> tuple[Matrix, Matrix, float]:
    left, values, right = svd(matrix)
    return left[:, :count], values[:count, None] * right[:count], float(np.linalg.norm(values[count:]))


def _top(gram: Floats, count: int) -> Floats:
    size = len(gram)
    _, vectors = scipy.linalg.eigh(gram, subset_by_index=[size - count, size - 1], driver="evr", check_finite=False)
    # Where all eigenvalues are one up to rounding, LAPACK may find fewer than it was asked for.
    if vectors.shape[1] < count:
        vectors = scipy.linalg.eigh(gram, driver="evd", check_finite=False)[1][:, -count:]
    return np.asarray(vectors[:, ::-1])
