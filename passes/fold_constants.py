"""Compute at compile time what depends on constants alone."""

from collections import deque
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np
import onnx_ir as ir
from onnx_ir import convenience

from qtnc.ir.branches import take_branch
from qtnc.ir.constants import evaluate
from qtnc.ir.initializers import add_initializer, drop_unused_initializers
from qtnc.pipeline import PassResult

UNFOLDABLE = frozenset(
    {"Dropout", "RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli"}
)
"""Operators whose result is not a function of their inputs."""

STORED = frozenset({"DequantizeLinear"})
"""Operators that say how a weight is stored: folding would undo its quantisation."""

FROM_VALUES = frozenset(
    {"Expand", "Range", "ConstantOfShape", "Tile", "Pad", "OneHot", "Upsample", "CenterCropPad"}
    | {"BlackmanWindow", "HammingWindow", "HannWindow"}
)
"""Operators whose result is as large as the numbers say that they read."""

NEVER_LARGER = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Slice", "Identity", "Transpose", "Cast"})
"""Operators whose result has no more elements than what they read, however their shapes are computed."""

LABORIOUS = frozenset(
    {"Conv", "ConvInteger", "ConvTranspose", "DeformConv", "QLinearConv", "Col2Im", "Resize", "GridSample", "RoiAlign"}
    | {"AveragePool", "LpPool", "MaxPool", "MaxUnpool", "GRU", "LSTM", "RNN", "DFT", "STFT", "Einsum", "Attention"}
    | {"NonMaxSuppression", "MelWeightMatrix"}
)
"""Operators whose work, in the reference evaluator, is not bounded by the sizes of what they read and make."""


@dataclass(frozen=True)
class FoldConstants:
    """Replace nodes whose inputs are all constant by their result, and an If whose condition is by one of its branches.

    ``max_growth`` bounds what folding may add to the model in bytes, node by node: the result's size less that of
    the constants that nothing else reads. A transposed weight adds nothing; a large Expand or Range is left alone.
    """

    name: ClassVar[str] = "fold-constants"

    max_growth: int = 64 * 1024

    def run(self, model: ir.Model) -> PassResult:
        """Fold in graph order, so that chains fold whole."""
        waiting, folded = deque(model.graph), False
        while waiting:
            node = waiting.popleft()
            if (known := _known_condition(node)) is not None:
                waiting.extendleft(reversed(take_branch(model, node, condition=known)))
                folded = True
            else:
                folded = self._fold(model, node) or folded
        drop_unused_initializers(model)
        return PassResult(model, folded)

    def _fold(self, model: ir.Model, node: ir.Node) -> bool:
        if node.domain != "" or node.op_type in UNFOLDABLE | LABORIOUS | STORED or len(node.outputs) != 1:
            return False
        if any(a.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS) for a in node.attributes.values()):
            return False
        if node.outputs[0].is_graph_output() or not all(_is_constant(v) for v in node.inputs if v is not None):
            return False
        if self._surely_too_large(node):
            return False
        results = evaluate(node, model.graph.opset_imports, {})
        freed = sum(v.const_value.nbytes for v in set(node.inputs) if v and v.const_value and len(v.uses()) == 1)
        if results is None or results[0].nbytes - freed > self.max_growth:
            return False
        output = node.outputs[0]
        value = add_initializer(model, output.name or node.op_type, results[0])
        convenience.replace_all_uses_with(output, value)
        model.graph.remove(node, safe=True)
        return True

    def _surely_too_large(self, node: ir.Node) -> bool:
        """Whether the inferred shape already says no, so that a huge Expand is never computed."""
        output = node.outputs[0]
        if output.shape is None or output.dtype is None or not output.shape.is_static():
            sizes = [v.const_value.size for v in node.inputs if v is not None and v.const_value is not None]
            return node.op_type in FROM_VALUES or (node.op_type not in NEVER_LARGER and prod(sizes) > self.max_growth)
        elements = int(np.prod([int(axis) for axis in output.shape.numpy()], dtype=np.float64))
        held = sum(v.const_value.nbytes for v in set(node.inputs) if v is not None and v.const_value is not None)
        return elements * output.dtype.itemsize - held > self.max_growth


def _known_condition(node: ir.Node) -> bool | None:
    if node.op_type != "If" or node.domain != "" or node.inputs[0] is None or not _is_constant(node.inputs[0]):
        return None
    tensor = node.inputs[0].const_value
    return bool(tensor.numpy().reshape(-1)[0]) if tensor is not None and tensor.size else None


def _is_constant(value: ir.Value) -> bool:
    return value.is_initializer() and value.const_value is not None and not value.is_graph_input()
