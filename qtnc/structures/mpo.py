"""Matrix product operator: W as a chain of cores, one per site."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from qtnc.structures.options import Sites, option


@dataclass(frozen=True)
class Mpo:
    """Chain of cores ``(r_{k-1}, m_k, n_k, r_k)`` with ``prod m_k >= M``, ``prod n_k >= N``."""

    name: ClassVar[str] = "mpo"
    op_type: ClassVar[str] = "MPO"

    sites: Literal["auto"] | int | Sites = option("sites", "auto", "the shape: auto, a number of sites, or [MxN, ...]")
    max_bond: int | None = option("count", None, "largest bond")
    cutoff: float | None = option("number", None, "drop singular values below this share of the largest")
    bytes: float | None = option("fraction", None, "largest share of the original weight's bytes")
    error: float | None = option("fraction", None, "largest relative error of the layer's output")
