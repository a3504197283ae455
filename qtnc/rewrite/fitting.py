"""Cores for one weight or a stack, as they are stored: the unit of work behind every rewrite of a product."""

from dataclasses import dataclass

import numpy as np

from qtnc.structures.structure import Problem, Stack, Structure
from qtnc.tensor.metric import Matrix
from qtnc.work.unit import Arrays, Outcome


@dataclass(frozen=True, eq=False)
class Fitting:
    """Fit a settled structure to a weight, or to each of a stack, round to a dtype, and measure what is left.

    ``dtype`` is a name as numpy, or the package ml_dtypes, has it.
    """

    problem: Problem | Stack
    structure: Structure
    dtype: str

    def run(self) -> Outcome:
        """Return the cores in the dtype, stacked for a stack, and as ``error`` their relative output error."""
        fits: list[Arrays] = []

        def dense(one: Problem) -> Matrix:
            fits.append(self._cores(one))
            return self.structure.dense(tuple(core.astype(np.float64) for core in fits[-1]), one.shape)

        error = self.problem.error_of(dense)
        cores = fits[0] if isinstance(self.problem, Problem) else tuple(map(np.stack, zip(*fits, strict=True)))
        return Outcome({"error": error}, cores)

    def _cores(self, problem: Problem) -> Arrays:
        return tuple(core.astype(_dtype(self.dtype)) for core in self.structure.fit(problem))


def _dtype(name: str) -> np.dtype[np.generic]:
    import ml_dtypes

    return np.dtype(getattr(ml_dtypes, name, name))
