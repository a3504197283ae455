"""Choose the order in which every tensor network is contracted, and how the gates of every circuit are fused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import onnx_ir as ir

from qtnc.ir.dialect import Order, attributes_of, define, is_qtn, order_of, product_of
from qtnc.ir.rows import rows_of
from qtnc.pipeline import PassResult
from qtnc.structures.cost import choose_order, flops_of


@dataclass(frozen=True)
class OrderChosen:
    """The order of one node: path or blocks, and flops at ``rows`` rows (2 per multiply-add)."""

    layer: str
    order: Order
    rows: int
    flops: int


@dataclass(frozen=True)
class ChooseContractionOrder:
    """Store the fastest order at the bound batch in each ``qtn`` node, and write its body anew.

    With few rows it pays to contract x first, with many to rebuild W first: a symbolic batch therefore needs the
    hint that ``bind`` gives. Fast is what the cost model says, on any machine: :mod:`qtnc.roofline`. With ``folded``
    rebuilding costs nothing, as in a runtime that computes constants once.
    """

    name: ClassVar[str] = "choose-contraction-order"

    binds: Mapping[str, int] = field(default_factory=dict)
    folded: bool = False

    def run(self, model: ir.Model) -> PassResult:
        """Visit every ``qtn`` node."""
        notes: list[OrderChosen] = []
        modified = False
        for node in ir.traversal.RecursiveGraphIterator(model.graph):
            if not is_qtn(node):
                continue
            product = product_of(node)
            x = node.inputs[0]
            rows = rows_of(x, self.binds, product.stack) if x is not None else 1
            order = choose_order(product, rows, folded=self.folded)
            notes.append(OrderChosen(node.overload, order, rows, flops_of(product, order, rows, folded=self.folded)))
            if order != order_of(node):
                node.attributes.update(attributes_of(product, order))
                define(model, node)
                modified = True
        return PassResult(model, modified, tuple(notes))
