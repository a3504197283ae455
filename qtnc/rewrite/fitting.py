"""Cores for one weight, as they are stored: the unit of work behind every rewrite of a product."""

from dataclasses import dataclass

import numpy as np

from qtnc.structures.structure import Problem, Structure
from qtnc.work.unit import Outcome


@dataclass(frozen=True, eq=False)
class Fitting:
    """Fit a settled structure to a weight, round to a dtype, and measure what is left.

    ``dtype`` is a name as numpy, or the package ml_dtypes, has it.
    """

    problem: Problem
    structure: Structure
    dtype: str

    def run(self) -> Outcome:
        """Return the cores in the dtype, and as ``error`` their relative output error."""
        cores = tuple(core.astype(_dtype(self.dtype)) for core in self.structure.fit(self.problem))
        stored = tuple(core.astype(np.float64) for core in cores)
        dense = self.structure.dense(stored, self.problem.shape)
        return Outcome({"error": self.problem.error(dense)}, cores)


def _dtype(name: str) -> np.dtype[np.generic]:
    import ml_dtypes

    return np.dtype(getattr(ml_dtypes, name, name))
