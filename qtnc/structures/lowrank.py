"""Low rank: ``W ~ A . B`` with A of shape (M, rank) and B of shape (rank, N)."""

from dataclasses import dataclass
from typing import ClassVar

from qtnc.structures.options import option


@dataclass(frozen=True)
class LowRank:
    """Product of two thin matrices. Give one of ``rank``, ``bytes`` and ``error``."""

    name: ClassVar[str] = "lowrank"
    op_type: ClassVar[str] = "LowRank"

    rank: int | None = option("count", None, "number of columns of A and rows of B")
    bytes: float | None = option("fraction", None, "largest share of the original weight's bytes")
    error: float | None = option("fraction", None, "largest relative error of the layer's output")
