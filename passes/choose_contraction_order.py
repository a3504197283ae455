"""Choose for every tensor network the order in which it is contracted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import onnx_ir as ir
from onnx_ir.convenience import convert_attributes

from qtnc.ir.dialect import define, is_qtn, network_attributes, network_of, path_of
from qtnc.ir.rows import rows_of
from qtnc.pipeline import PassResult
from qtnc.tensor.order import choose_path, path_flops


@dataclass(frozen=True)
class OrderChosen:
    """The order of one layer: its path, and flops at ``rows`` rows (2 per multiply-add)."""

    layer: str
    path: tuple[tuple[int, int], ...]
    rows: int
    flops: int


@dataclass(frozen=True)
class ChooseContractionOrder:
    """Store the cheapest two-operand path at the bound batch in each ``qtn`` node, and write its body anew.

    With few rows it pays to contract x first, with many to rebuild W first: a symbolic batch therefore needs the
    hint that ``bind`` gives.
    """

    name: ClassVar[str] = "choose-contraction-order"

    binds: Mapping[str, int] = field(default_factory=dict)

    def run(self, model: ir.Model) -> PassResult:
        """Visit every ``qtn`` node."""
        notes: list[OrderChosen] = []
        modified = False
        for node in model.graph:
            if not is_qtn(node):
                continue
            network = network_of(node)
            x = node.inputs[0]
            rows = rows_of(x, self.binds) if x is not None else 1
            path = choose_path(network, rows)
            notes.append(OrderChosen(node.overload, path, rows, path_flops(network, path, rows)))
            if path != path_of(node):
                node.attributes.update({a.name: a for a in convert_attributes(network_attributes(network, path))})
                define(model, node)
                modified = True
        return PassResult(model, modified, tuple(notes))
