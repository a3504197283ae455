"""Matrix product operators: TT-SVD, sweeps that polish it, and the dense matrix back.

Core k has shape (r_{k-1}, m_k, n_k, r_k) with r_0 = r_K = 1. TT-SVD: Oseledets, SIAM J. Sci. Comput. 33 (2011) 2295.
"""

from collections.abc import Sequence
from functools import reduce
from math import prod, sqrt

import numpy as np
from numpy.typing import NDArray

from qtnc.tensor.leading import ROUGH, leading
from qtnc.tensor.metric import Matrix
from qtnc.tensor.sites import Sites, features

Core = NDArray[np.float64]
Cores = tuple[Core, ...]


def to_sites(weight: Matrix, sites: Sites) -> NDArray[np.float64]:
    """Pad a weight (M, N) with zeros and group it by site: result (m_1 n_1, ..., m_K n_K)."""
    rows, columns = features(sites)
    padded = np.zeros((rows, columns))
    padded[: weight.shape[0], : weight.shape[1]] = weight
    count = len(sites)
    split = padded.reshape([m for m, _ in sites] + [n for _, n in sites])
    order = [axis for k in range(count) for axis in (k, count + k)]
    return split.transpose(order).reshape([m * n for m, n in sites])


def dense(cores: Cores, shape: tuple[int, int]) -> Matrix:
    """Matrix of shape (M, N) that the cores stand for, padding cut off."""
    sites = tuple((core.shape[1], core.shape[2]) for core in cores)
    joined = reduce(lambda a, b: np.tensordot(a, b, 1), cores)
    count = len(sites)
    split = joined.reshape([size for site in sites for size in site])
    matrix = split.transpose([*range(0, 2 * count, 2), *range(1, 2 * count, 2)]).reshape(features(sites))
    return np.ascontiguousarray(matrix[: shape[0], : shape[1]])


def bonds_of(cores: Sequence[Core]) -> tuple[int, ...]:
    """Bonds between the cores."""
    return tuple(core.shape[3] for core in cores[:-1])


def tt_svd(
    weight: Matrix,
    sites: Sites,
    bonds: tuple[int, ...] | None = None,
    *,
    cutoff: float = 0.0,
    error: float = 0.0,
) -> tuple[Cores, float]:
    """Decompose a weight (M, N) from left to right by truncated SVDs.

    Parameters
    ----------
    bonds : bond at each cut, kept even where the weight's rank is less; full when None.
    cutoff : singular values below ``cutoff`` times the largest of their cut are dropped.
    error : each cut may discard ``error / sqrt(K - 1)`` of the weight's norm, so that the whole stays within ``error``.

    Returns
    -------
    The cores, and the a-priori relative Frobenius error ``sqrt(sum of discarded squares) / |W|``: for TT-SVD it is
    the exact error, since the discarded parts are orthogonal to each other.
    """
    rest = to_sites(weight, sites)
    total = float(np.linalg.norm(rest))
    allowed = error * total / sqrt(max(1, len(sites) - 1))
    cores: list[Core] = []
    reach, discarded = 1, 0.0
    for k, (m, n) in enumerate(sites[:-1]):
        matrix = rest.reshape(reach * m * n, -1)
        most = min(*matrix.shape, bonds[k] if bonds else matrix.size)
        if error or cutoff:
            left, rest, lost = _truncate(matrix, most, cutoff, allowed if error else 0.0)
        else:
            left, rest, lost = leading(matrix, most)
        discarded += lost**2
        cores.append(left.reshape(reach, m, n, -1))
        reach = left.shape[1]
    cores.append(rest.reshape(reach, *sites[-1], 1))
    return tuple(cores), sqrt(discarded) / total if total else 0.0


def _truncate(matrix: Matrix, most: int, cutoff: float, allowed: float) -> tuple[Matrix, Matrix, float]:
    """Keep at most ``most`` columns and no more than the cutoff and the allowed norm ask for; see ``leading``."""
    # Values so small have no square that tells them apart.
    left, rest, lost = leading(matrix, min(matrix.shape) if 0.0 < cutoff < ROUGH else most, exact=True)
    values = np.linalg.norm(rest, axis=1)
    tail = np.sqrt(np.append(np.cumsum(values[::-1] ** 2)[::-1], 0.0) + lost**2)
    keep = len(values)
    if allowed and tail[-1] <= allowed:
        keep = int(np.argmax(tail <= allowed))
    if cutoff:
        keep = min(keep, int(np.count_nonzero(values > cutoff * values[0])))
    keep = max(1, min(keep, most))
    return left[:, :keep], rest[:keep], float(tail[keep])


def balance(cores: Cores) -> Cores:
    """Share the scale evenly among the cores, so that all of them train and quantise alike; the matrix stays."""
    norms = [float(np.linalg.norm(core)) / sqrt(core.size) for core in cores]
    if min(norms) == 0.0:
        return cores
    mean = prod(value ** (1 / len(norms)) for value in norms)
    return tuple(core * (mean / value) for core, value in zip(cores, norms, strict=True))
