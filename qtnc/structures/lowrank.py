"""Low rank: ``W ~ A . B`` with A of shape (M, rank) and B of shape (rank, N)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qtnc.structures.options import option
from qtnc.structures.structure import (
    Arrays,
    MisfitError,
    Part,
    Problem,
    Proposal,
    Stack,
    element_budget,
    whole_numbers,
)
from qtnc.tensor.metric import Matrix
from qtnc.tensor.network import TensorNetwork
from qtnc.tensor.sites import matrix_sites
from qtnc.tensor.truncate import truncated


@dataclass(frozen=True)
class LowRank:
    """Product of two thin matrices, by truncated SVD; in the metric of the data where data is given."""

    name: ClassVar[str] = "lowrank"
    op_type: ClassVar[str] = "LowRank"
    stacks: ClassVar[bool] = True

    rank: int | None = option("count", None, "number of columns of A and rows of B")
    bytes: float | None = option("fraction", None, "largest share of the original weight's bytes")
    error: float | None = option("fraction", None, "largest relative error of the layer's output")

    def check(self) -> str | None:
        """Two of the three options may contradict each other, so one at most is given."""
        given = [k for k in ("rank", "bytes", "error") if getattr(self, k) is not None]
        return f"give one of {', '.join(f'`{k}`' for k in given)}, not {len(given)}" if len(given) > 1 else None

    @property
    def leaves_choice(self) -> bool:
        """Whether the rank follows from bytes or error."""
        return self.bytes is not None or self.error is not None

    def propose(self, problem: Problem | Stack) -> Proposal:
        """Turn ``bytes`` or ``error`` into a rank; without any option the rank is full."""
        full = min(problem.shape)
        if self.bytes is not None:
            rank = max(1, min(full, element_budget(self.bytes, problem.shape) // sum(problem.shape)))
            reason = f"largest rank within {self.bytes:.3g} of the bytes"
        elif self.error is not None:
            rank = problem.spectrum.rank_for(self.error)
            reason = f"smallest rank within error {self.error:.3g}"
        else:
            rank = min(full, self.rank or full)
            reason = "rank as asked" if rank == self.rank else "full rank"
        return Proposal(LowRank(rank=rank), problem.error_of(lambda one: one.of_rank(rank)), reason)

    def parts(self, shape: tuple[int, int]) -> tuple[Part, ...]:
        """Return the one network."""
        return (Part(self.op_type, self.network(shape)),)

    def network(self, shape: tuple[int, int]) -> TensorNetwork:
        """Return ``m, m r -> ...``: x times A times B."""
        sizes = {"m": shape[0], "r": self._rank, "n": shape[1]}
        return TensorNetwork((("m",), ("m", "r"), ("r", "n")), ("n",), sizes, shape)

    def fit(self, problem: Problem) -> tuple[NDArray[np.float64], ...]:
        """Factors A (M, rank) and B (rank, N)."""
        return problem.low_rank(self._rank)

    def dense(self, cores: tuple[NDArray[np.float64], ...], shape: tuple[int, int]) -> Matrix:
        """Multiply A and B."""
        a, b = cores
        return np.asarray(a @ b)

    def project(self, weight: NDArray[Any]) -> NDArray[Any]:
        """Truncate the SVD."""
        return truncated(weight, matrix_sites(*weight.shape), (self._rank,))

    def settled(self) -> Mapping[str, Any]:
        """Return the rank."""
        return {"rank": self._rank}

    def kept(self) -> Arrays:
        """Return nothing: the rank says all."""
        return ()

    def settle(self, settled: Mapping[str, Any], shape: tuple[int, int], kept: Arrays | Problem) -> "LowRank":
        """Take the rank."""
        (rank,) = whole_numbers([settled.get("rank")])
        M, N = shape
        if rank > min(M, N):
            raise MisfitError(f"rank {rank:,} is more than the {min(M, N):,} that a weight of {M}x{N} can have")
        return LowRank(rank=rank)

    @property
    def _rank(self) -> int:
        if self.rank is None:
            raise ValueError("the rank is not settled; use what propose() returns")
        return self.rank
