"""How slowly the singular values of a matrix fall: what its best approximation of a tenth of its rank leaves out."""

import scipy.linalg

from qtnc.tensor.metric import Matrix

LEADING = 10
"""The leading values are one in so many, rounded up."""


def spectral_decay(weight: Matrix) -> float:
    """Share of the squared singular values outside the leading tenth: 0 for low rank, and for zero.

    Of ``r = min(M, N)`` values the leading ``ceil(r / 10)`` are left out; where all are equal, the share is near 0.9.
    """
    # gesvd converges where gesdd sometimes gives up, and for values alone it is as fast.
    values = scipy.linalg.svd(weight, compute_uv=False, lapack_driver="gesvd")
    if values[0] == 0.0:
        return 0.0
    # By the largest first, so that no square of a very small or large weight leaves the range of numbers.
    shares = (values / values[0]) ** 2
    return float(shares[-(-len(shares) // LEADING) :].sum() / shares.sum())
