"""Best low-rank approximation of a matrix, plain or weighted by data, in closed form.

With ``C = L L^T`` the error ``|X(W - W')|`` is ``|L^T (W - W')|``, so the best W' of rank r follows from the SVD of
``L^T W``. Its right singular vectors V give ``W' = (W V_r) V_r^T``, which needs no inverse of L (whitened SVD: Wang et
al., SVD-LLM, arXiv 2403.07378, in the projection form).
"""

from dataclasses import dataclass

import numpy as np

from qtnc.tensor.leading import leading, svd
from qtnc.tensor.metric import Matrix, root


@dataclass(frozen=True)
class Values:
    """What is lost at each rank.

    values: (min(M, N),), ``|X W v_k| / sqrt(rows)``; up to the ridge in L these are the singular values, falling.
    """

    values: Matrix

    def error(self, rank: int) -> float:
        """Relative output error of the projection to this rank: exact, in the metric of the data."""
        total = float(np.sum(self.values**2))
        return float(np.sqrt(np.sum(self.values[rank:] ** 2) / total)) if total > 0.0 else 0.0

    def rank_for(self, error: float) -> int:
        """Smallest rank, at least 1, whose relative error is at most ``error``."""
        tail = np.sqrt(np.append(np.cumsum(self.values[::-1] ** 2)[::-1], 0.0))
        if tail[0] == 0.0:
            return 1
        return max(1, int(np.argmax(tail <= error * tail[0])))


@dataclass(frozen=True)
class Spectrum(Values):
    """What each right singular vector of ``L^T W`` carries, the singular values falling.

    right: (min(M, N), N), one vector v_k a row.
    """

    right: Matrix


def spectrum(weight: Matrix, covariance: Matrix | None = None) -> Spectrum:
    """Spectrum of a weight of shape (M, N) in the metric of a covariance of shape (M, M)."""
    _, values, right = svd(_weighted(weight, covariance))
    if covariance is not None and np.any(covariance):
        # The error that counts has no ridge. W - W' is W projected on the vectors left out, so their shares add up.
        carried = weight @ right.T
        values = np.sqrt(np.maximum(0.0, np.einsum("ik,ik->k", carried, covariance @ carried)))
    return Spectrum(values, right)


def low_rank(weight: Matrix, rank: int, covariance: Matrix | None = None) -> tuple[Matrix, Matrix]:
    """Factors A (M, r) and B (r, N) with ``A B`` closest to the weight, r the lesser of ``rank``, M and N."""
    return project(weight, spectrum(weight, covariance), rank)


def nearest(weight: Matrix, rank: int, covariance: Matrix | None = None) -> tuple[Matrix, Matrix]:
    """The same factors up to signs and rounding, from the vectors that are kept alone: no spectrum is needed."""
    kept = min(rank, *weight.shape)
    right = leading(_weighted(weight, covariance).T, kept, exact=True)[0].T
    return _factors(weight, right)


def project(weight: Matrix, known: Spectrum, rank: int) -> tuple[Matrix, Matrix]:
    """Factors A (M, r) and B (r, N) from a spectrum already computed.

    The scale is shared evenly, so that both factors train and quantise alike.
    """
    return _factors(weight, known.right[:rank])


def _weighted(weight: Matrix, covariance: Matrix | None) -> Matrix:
    return weight if covariance is None else root(covariance).T @ weight


def _factors(weight: Matrix, right: Matrix) -> tuple[Matrix, Matrix]:
    left = weight @ right.T
    scale = np.sqrt(np.linalg.norm(left, axis=0))
    scale[scale == 0.0] = 1.0
    return left / scale, right * scale[:, None]
