"""Replace products with a constant matrix by products with a matrix product operator."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from qtnc.pipeline import PassResult
from qtnc.rewrite.decision import Decision
from qtnc.rewrite.products import replace_products
from qtnc.structures.mpo import Mpo
from qtnc.work.work import Work


@dataclass(frozen=True)
class MatmulToMpo:
    """``MatMul(x, w) -> qtn.MPO(x, core_0, ..., core_K-1)``, cores of shape (r_k, m_k, n_k, r_k+1)."""

    name: ClassVar[str] = "matmul-to-mpo"
    exact: ClassVar[bool] = False

    decisions: tuple[Decision, ...] = ()
    work: Work = Work()

    def run(self, model: ir.Model) -> PassResult:
        """Rewrite every layer decided to be an MPO."""
        return replace_products(model, self.decisions, {Mpo.name}, self.name, self.work)
