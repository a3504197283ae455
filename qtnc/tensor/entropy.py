"""How far a matrix is from one Kronecker product: its operator entanglement entropy across two sites.

Rearranged as (m_1 n_1) x (m_2 n_2), the matrix is ``sum_k s_k A_k (x) B_k`` with A_k and B_k orthonormal: one term is a
product, many of like weight need a large bond. Zanardi, Phys. Rev. A 63 (2001) 040304(R).
"""

import numpy as np
import scipy.linalg

from qtnc.tensor.metric import Matrix
from qtnc.tensor.mpo import to_sites
from qtnc.tensor.sites import balanced


def operator_entropy(weight: Matrix) -> float:
    """Entropy in bits of a weight (M, N) across its balanced cut: 0 for a Kronecker product, and for zero."""
    rows, columns = weight.shape
    grouped = to_sites(weight, balanced(rows, columns, 2))
    # gesvd converges where gesdd sometimes gives up, and for values alone it is as fast.
    values = scipy.linalg.svd(grouped, compute_uv=False, lapack_driver="gesvd")
    if values[0] == 0.0:
        return 0.0
    # By the largest first, so that no square of a very small or large weight leaves the range of numbers.
    shares = (values / values[0]) ** 2
    shares = shares[shares > 0.0] / shares.sum()
    return max(0.0, -float(np.sum(shares * np.log2(shares))))
