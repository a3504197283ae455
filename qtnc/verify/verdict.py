"""The verdict: what the spec allows, what was measured, and whether it holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from types import MappingProxyType
from typing import Any

import onnx_ir as ir

from qtnc.errors import printable
from qtnc.verify.compare import worst

AGREEMENT = 1e-3
"""Relative distance up to which two backends count as the same model; both compute in the weights' own dtype."""

IN_HALF: Mapping[ir.DataType, float] = MappingProxyType({ir.DataType.FLOAT16: 2e-2, ir.DataType.BFLOAT16: 8e-2})
"""The same where one of them computes in 16 bits: each operation rounds by 5e-4 or 4e-3, in an order of its own."""


def agreement_of(model: ir.Model, *, narrow: bool) -> float:
    """Relative distance up to which two backends of a model count as the same; ``narrow`` where one is in float16."""
    values = [*model.graph.inputs, *model.graph.outputs, *(v for g in model.graphs() for v in g.initializers.values())]
    types = {value.dtype for value in values} | ({ir.DataType.FLOAT16} if narrow else set())
    return max([AGREEMENT, *(allowed for dtype, allowed in IN_HALF.items() if dtype in types)])


@dataclass(frozen=True)
class Verdict:
    """One ``verify`` statement as measured.

    Attributes
    ----------
    data : name of the data, ``seeded`` where the spec names none.
    tolerance : relative error allowed, or None where the spec only wants to know.
    errors : backend -> output -> relative error against the original.
    disagreement : largest relative distance between two backends.
    unmeasured : why nothing could be measured where the spec asks for nothing; None where it was.
    agreement : largest distance at which they count as the same model.
    """

    data: str
    tolerance: float | None
    errors: Mapping[str, Mapping[str, float]]
    disagreement: float
    unmeasured: str | None = None
    agreement: float = AGREEMENT

    @property
    def worst(self) -> float:
        """Largest error of any backend and output."""
        return worst(worst(outputs) for outputs in self.errors.values())

    @property
    def holds(self) -> bool:
        """Whether every backend is within the tolerance and the backends agree."""
        return (self.tolerance is None or self.worst <= self.tolerance) and self.agrees

    @property
    def agrees(self) -> bool:
        """Whether the backends are the same model."""
        return self.disagreement <= self.agreement

    def lines(self) -> list[str]:
        """One line a backend and output, and one for agreement."""
        if self.unmeasured is not None:
            return [f"not measured: {self.unmeasured}"]
        found = []
        allowed = f"allowed {self.tolerance:.3%}" if self.tolerance is not None else "no limit asked"
        for backend, outputs in self.errors.items():
            for output, error in outputs.items():
                failed = " FAILED" if self.tolerance is not None and not error <= self.tolerance else ""
                name = printable(output)
                found.append(f"{backend}: {name} differs by {error:.3%} on {self.data} ({allowed}){failed}")
        if not self.agrees:
            found.append(
                f"backends differ from each other by {self.disagreement:.3%} (allowed {self.agreement:.1%}) FAILED"
            )
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain data; JSON has no infinity, so an error without bound is null."""
        return {
            "data": self.data,
            "tolerance": self.tolerance,
            "errors": {b: {o: _number(e) for o, e in outputs.items()} for b, outputs in self.errors.items()},
            "disagreement": _number(self.disagreement),
            "unmeasured": self.unmeasured,
            "worst": _number(self.worst),
            "holds": self.holds,
        }


def _number(value: float) -> float | None:
    return value if isfinite(value) else None
