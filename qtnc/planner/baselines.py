"""What one would do instead: SVD at equal bytes, and rounding to 8 or 4 bits."""

import numpy as np

from qtnc.planner.plan import Baselines
from qtnc.structures.structure import Problem, Stack
from qtnc.tensor.lowrank import nearest
from qtnc.tensor.metric import Matrix

GROUP = 32
"""Consecutive inputs that share a scale at 4 bits."""


def baselines_of(problem: Problem | Stack, parameters: int) -> Baselines:
    """Errors of the baselines at ``parameters`` stored numbers a matrix, in the problem's metric."""
    rank = max(1, min(min(problem.shape), parameters // sum(problem.shape)))
    best = problem.error_of(lambda one: one.of_rank(rank))
    return Baselines(
        svd=problem.error_of(lambda one: product(nearest(one.weight, rank))) if problem.weighted else best,
        whitened_svd=best if problem.weighted else None,
        int8=problem.error_of(lambda one: rounded(one.weight, bits=8, group=problem.shape[0])),
        int4=problem.error_of(lambda one: rounded(one.weight, bits=4, group=GROUP)),
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
