"""Replace products with a constant matrix by what structures of other packages make of them."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from qtnc.pipeline import PassResult
from qtnc.rewrite.decision import Decision
from qtnc.rewrite.products import replace_products
from qtnc.structures.registry import STRUCTURES
from qtnc.work.work import Work


@dataclass(frozen=True)
class MatmulToNetwork:
    """``MatMul(x, w) -> qtn.NAME(x, core_0, ...)`` for every structure that has no pass of its own."""

    name: ClassVar[str] = "matmul-to-network"
    exact: ClassVar[bool] = False

    decisions: tuple[Decision, ...] = ()
    work: Work = Work()

    def run(self, model: ir.Model) -> PassResult:
        """Rewrite every layer decided to be a structure that is none of ours."""
        foreign = {decision.structure.name for decision in self.decisions} - set(STRUCTURES)
        return replace_products(model, self.decisions, foreign, self.name, self.work)
