"""Fast TT-SVD of a matrix for one use: the nearest operator as a matrix again, not its cores."""

from math import prod

import numpy as np

from qtnc.tensor.leading import Floats, by_gram
from qtnc.tensor.sites import Sites


def truncated(weight: Floats, sites: Sites, bonds: tuple[int, ...]) -> Floats:
    """Nearest operator, quasi-optimal beyond two sites, of a matrix (M, N) that the sites span exactly.

    Of each cut only the kept singular vectors are computed, from the smaller Gram matrix and never from a random start:
    a search that follows gradients needs the truncation to be smooth. The type must hold squares of the weight.
    """
    count = len(sites)
    order = [axis for k in range(count) for axis in (k, count + k)]
    split = weight.reshape([m for m, _ in sites] + [n for _, n in sites]).transpose(order)
    rest = np.ascontiguousarray(split).reshape(1, -1)
    left: list[Floats] = []
    for (m, n), bond in zip(sites, bonds, strict=False):
        matrix = rest.reshape(len(rest) * m * n, -1)
        keep = min(bond, *matrix.shape)
        vectors = np.eye(keep, dtype=matrix.dtype) if keep == len(matrix) else by_gram(matrix, keep)
        left.append(vectors)
        rest = vectors.T @ matrix
    for vectors in reversed(left):
        rest = vectors @ rest.reshape(vectors.shape[1], -1)
    modes = [size for site in sites for size in site]
    whole = rest.reshape(modes).transpose([*range(0, 2 * count, 2), *range(1, 2 * count, 2)])
    return np.ascontiguousarray(whole).reshape(prod(m for m, _ in sites), -1)
