"""Replace products with a constant matrix by circuits around a structure."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from qtnc.pipeline import PassResult
from qtnc.rewrite.decision import Decision
from qtnc.rewrite.products import replace_products
from qtnc.structures.circuit import Circuits
from qtnc.work.work import Work


@dataclass(frozen=True)
class MatmulToCircuit:
    """``MatMul(x, w) -> qtn.Circuit, the inner structure, qtn.Circuit``; the circuits store angles (gates, 6)."""

    name: ClassVar[str] = "matmul-to-circuit"
    exact: ClassVar[bool] = False

    decisions: tuple[Decision, ...] = ()
    work: Work = Work()

    def run(self, model: ir.Model) -> PassResult:
        """Rewrite every layer decided to be circuits around something."""
        return replace_products(model, self.decisions, {Circuits.name}, self.name, self.work)
