"""What one would do instead: SVD at equal bytes, and rounding to 8 or 4 bits."""

import numpy as np

from qtnc.planner.plan import Baselines
from qtnc.structures.structure import Problem
from qtnc.tensor.lowrank import nearest
from qtnc.tensor.metric import Matrix

GROUP = 32
"""Consecutive inputs that share a scale at 4 bits."""


def baselines_of(problem: Problem, parameters: int) -> Baselines:
    """Errors of the baselines at ``parameters`` stored numbers, in the problem's metric."""
    rank = max(1, min(min(problem.shape), parameters // sum(problem.shape)))
    best = problem.error(product(problem.low_rank(rank)))
    weighted = problem.covariance is not None
    return Baselines(
        svd=problem.error(product(nearest(problem.weight, rank))) if weighted else best,
        whitened_svd=best if weighted else None,
        int8=problem.error(rounded(problem.weight, bits=8, group=problem.shape[0])),
        int4=problem.error(rounded(problem.weight, bits=4, group=GROUP)),
    )


def product(factors: tuple[Matrix, Matrix]) -> Matrix:
    """The matrix that two factors make."""
    return np.asarray(factors[0] @ factors[1])


def rounded(weight: Matrix, bits: int, group: int) -> Matrix:
    """Round a weight (M, N) to symmetric integers; ``group`` consecutive rows of a column share a scale."""
    top = 2 ** (bits - 1) - 1
    rows, columns = weight.shape
    padded = np.zeros((-(-rows // group) * group, columns))
    padded[:rows] = weight
    blocks = padded.reshape(-1, group, columns)
    scale = np.abs(blocks).max(axis=1, keepdims=True) / top
    scale[scale == 0.0] = 1.0
    return np.asarray((np.round(blocks / scale) * scale).reshape(padded.shape)[:rows])
