"""Replace products with a constant matrix by products with two thin ones."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from qtnc.pipeline import PassResult
from qtnc.rewrite.decision import Decision
from qtnc.rewrite.products import replace_products
from qtnc.structures.lowrank import LowRank
from qtnc.work.work import Work


@dataclass(frozen=True)
class MatmulToLowrank:
    """``MatMul(x, w) -> qtn.LowRank(x, a, b)`` with a of shape (M, rank), b of shape (rank, N)."""

    name: ClassVar[str] = "matmul-to-lowrank"
    exact: ClassVar[bool] = False

    decisions: tuple[Decision, ...] = ()
    work: Work = Work()

    def run(self, model: ir.Model) -> PassResult:
        """Rewrite every layer decided to be low rank."""
        return replace_products(model, self.decisions, {LowRank.name}, self.name, self.work)
