"""A pass for qtnc: where a model multiplies a product by a number, the weight takes the number up."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir
from onnx_ir import convenience

from qtnc.ir.initializers import drop_unused_initializers
from qtnc.pipeline import PassResult


@dataclass(frozen=True)
class FoldScale:
    """``Mul(MatMul(x, w), s) -> MatMul(x, w * s)`` for a known number s, where nothing else reads w and y."""

    name: ClassVar[str] = "fold-scale"

    largest: int = 1 << 24
    """Elements of a weight, up to which it is multiplied."""

    def run(self, model: ir.Model) -> PassResult:
        """Rewrite in graph order, so that of several numbers behind one product all are taken."""
        modified = False
        for node in list(model.graph):
            if (node.domain, node.op_type) == ("", "Mul"):
                a, b = node.inputs
                modified |= self._fold(model, node, a, b) or self._fold(model, node, b, a)
        if modified:
            drop_unused_initializers(model)
        return PassResult(model, modified)

    def _fold(self, model: ir.Model, node: ir.Node, y: ir.Value | None, factor: ir.Value | None) -> bool:
        if node.graph is None or y is None or factor is None or not _is_number(factor, y):
            return False
        product = y.producer()
        if product is None or (product.domain, product.op_type) != ("", "MatMul") or not _is_read_once(y):
            return False
        weight = product.inputs[1]
        if weight is None or not weight.is_initializer() or weight.const_value is None or not _is_read_once(weight):
            return False
        array = weight.const_value.numpy()
        if array.size > self.largest:
            return False
        scaled = (array * factor.const_value.numpy().reshape(())).astype(array.dtype)
        weight.const_value = ir.tensor(np.ascontiguousarray(scaled), name=weight.name)
        name = node.outputs[0].name  # that of a graph's output stays
        convenience.replace_all_uses_with(node.outputs[0], y, replace_graph_outputs=True)
        model.graph.remove(node, safe=True)
        y.name = name
        return True


def _is_number(factor: ir.Value, y: ir.Value) -> bool:
    """Whether a factor is one known number that leaves y the axes that it has."""
    known = factor.const_value if factor.is_initializer() and not factor.is_graph_input() else None
    return known is not None and known.size == 1 and y.shape is not None and len(known.shape) <= len(y.shape)


def _is_read_once(value: ir.Value) -> bool:
    return len(value.uses()) == 1 and not value.is_graph_output() and not value.is_graph_input()
