"""What every structure offers: a proposal at plan time, cores at compile time, a network in between."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from qtnc.tensor.lowrank import Spectrum, spectrum
from qtnc.tensor.metric import Matrix, relative_error
from qtnc.tensor.network import TensorNetwork


@dataclass(frozen=True, eq=False)
class Problem:
    """One weight to approximate: ``weight`` (M, N) in float64, ``covariance`` (M, M) of its inputs or None."""

    weight: Matrix
    covariance: Matrix | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(M, N)."""
        return self.weight.shape[0], self.weight.shape[1]

    @cached_property
    def spectrum(self) -> Spectrum:
        """Singular values in the metric of the data."""
        return spectrum(self.weight, self.covariance)

    def error(self, approximation: Matrix) -> float:
        """Relative output error of an approximation (M, N)."""
        return relative_error(self.weight, approximation, self.covariance)


@dataclass(frozen=True)
class Proposal:
    """What a structure would do to one weight.

    Attributes
    ----------
    structure : the structure with nothing left to choose.
    predicted_error : relative output error that ``fit`` will not exceed (up to rounding).
    reason : why these sites and bonds, in a few words.
    """

    structure: "Structure"
    predicted_error: float
    reason: str


class Structure(Protocol):
    """A family of approximations. Its dataclass fields made by ``option`` are its options in the language."""

    name: ClassVar[str]
    op_type: ClassVar[str]

    def check(self) -> str | None:
        """Why these options cannot stand together, or None."""
        ...

    @property
    def leaves_choice(self) -> bool:
        """Whether the planner chooses bonds or sites, rather than the spec."""
        ...

    def propose(self, problem: Problem) -> Proposal:
        """Settle everything that is left open."""
        ...

    def network(self, shape: tuple[int, int]) -> TensorNetwork:
        """Return the network of the settled structure for a weight (M, N)."""
        ...

    def fit(self, problem: Problem) -> tuple[NDArray[np.float64], ...]:
        """Cores of the settled structure, shaped as ``network`` says."""
        ...

    def dense(self, cores: tuple[NDArray[np.float64], ...], shape: tuple[int, int]) -> Matrix:
        """Matrix (M, N) that the cores stand for."""
        ...

    def settled(self) -> Mapping[str, Any]:
        """Options of the settled structure as plan.json writes them."""
        ...


def element_budget(share: float, shape: tuple[int, int]) -> int:
    """Elements that a share of the original weight's bytes buys, cores being stored in the weight's own dtype."""
    # A percentage is not exact in binary: 29 % of 100 elements is 29 elements, not 28.999...
    return int(share * shape[0] * shape[1] * (1.0 + 1e-12))
