"""Which nodes of a model compute in full precision when the rest of it computes in float16, and why.

Those whose result float16 would spoil: statistics, exponentials and angles; whatever is counted from integers, such as
positions; whatever reads a number beyond float16, such as the -1e9 of a mask; operators that ONNX has not in float16;
and cheap arithmetic between two of these.
"""

import numpy as np
import onnx
import onnx_ir as ir

from qtnc.errors import Diagnostic, PassError, printable
from qtnc.ir.dialect import is_circuit, is_qtn

LARGEST = float(np.finfo(np.float16).max)
"""65504, the largest number of float16."""

FLOATS = frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.BFLOAT16, ir.DataType.FLOAT16})

# fmt: off
SENSITIVE = frozenset(
    {
        "Softmax", "LogSoftmax", "LayerNormalization", "RMSNormalization", "GroupNormalization",
        "InstanceNormalization", "BatchNormalization", "LpNormalization", "MeanVarianceNormalization",
        "ReduceMean", "ReduceSum", "ReduceL1", "ReduceL2", "ReduceProd", "ReduceSumSquare", "ReduceLogSum",
        "ReduceLogSumExp", "Pow", "Exp", "Log", "Sqrt", "Reciprocal", "Sin", "Cos", "Tan", "CumSum", "Range",
        "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "QuantizeLinear", "DequantizeLinear",
        "DynamicQuantizeLinear", "Constant", "ConstantOfShape", "EyeLike", "RandomNormal", "RandomUniform",
        "RandomNormalLike", "RandomUniformLike",
    }
)
# fmt: on
"""Operators that compute in full precision."""

# fmt: off
CHEAP = frozenset(
    {
        "Add", "Sub", "Mul", "Div", "Neg", "Abs", "Sum", "Mean", "Where", "Identity", "Cast", "Unsqueeze",
        "Squeeze", "Reshape", "Expand", "Flatten", "Transpose", "Concat", "Slice", "Gather", "Tile",
    }
)
# fmt: on
"""Arithmetic and views, through which large numbers pass."""

BOUNDS = frozenset({"Clip", "Min", "Max", "Attention"})
"""Operators that may read a number beyond float16 and compute none."""

TAKES_ANY = frozenset({"Cast", "Shape", "Size"})
"""Operators that read floats of any type."""


def is_float(value: ir.Value) -> bool:
    """Whether a value holds floats of 16 bits or more."""
    return value.dtype in FLOATS and (value.type is None or isinstance(value.type, ir.TensorType))


def fits(value: ir.Value) -> bool:
    """Whether every finite number of a constant stays finite in float16."""
    return largest(value) < LARGEST + 16  # what lies below rounds to 65504


def largest(value: ir.Value) -> float:
    """Largest finite magnitude of a constant."""
    if value.const_value is None or value.const_value.size == 0:
        return 0.0
    array = value.const_value.numpy()
    found = max(float(array.max()), -float(array.min()))
    if np.isfinite(found):
        return abs(found)
    return float(np.abs(array[np.isfinite(array)].astype(np.float64)).max(initial=0.0))


def is_stored(value: ir.Value) -> bool:
    """Whether a value is a constant that the model stores."""
    return value.is_initializer() and value.const_value is not None and not value.is_graph_input()


class Precision:
    """The nodes of a model that compute in full precision."""

    def __init__(self, model: ir.Model) -> None:
        """Decide.

        Raises
        ------
        PassError
            If a number beyond float16 reaches a product, a table or a body; it names the weight.
        """
        self.opset = model.graph.opset_imports.get("", 1)
        self.nodes = list(ir.traversal.RecursiveGraphIterator(model.graph))
        self.full: set[ir.Node] = set()
        self._counted: set[ir.Value] = set()
        self._wide: dict[ir.Value, ir.Value] = {}
        for graph in model.graphs():
            for value in graph.initializers.values():
                if is_float(value) and is_stored(value) and not fits(value):
                    self._wide[value] = value
        for node in self.nodes:
            self._decide(node)
        self._grow()

    def _decide(self, node: ir.Node) -> None:
        floats = [v for v in node.inputs if v is not None and is_float(v)]
        wide = next((self._wide[v] for v in floats if v in self._wide), None)
        counted = self._is_counted(node, floats)
        plain = not node.domain
        if plain and node.op_type in TAKES_ANY and not (counted or wide):
            return
        sensitive = node.op_type in SENSITIVE if plain else is_qtn(node) and is_circuit(node)
        if counted or sensitive or not self._has_half(node):
            self.full.add(node)
        elif wide is not None:
            if any(map(is_float, node.outputs)) and (not plain or node.op_type not in CHEAP | BOUNDS):
                raise _too_large(wide, node)
            self.full.add(node)
        if counted:
            self._counted.update(node.outputs)
        if wide is not None and plain and node.op_type in CHEAP:
            self._wide.update({v: wide for v in node.outputs if is_float(v)})

    def _is_counted(self, node: ir.Node, floats: list[ir.Value]) -> bool:
        """Whether floats come from integers alone; what a weight has multiplied is data."""
        if node.domain or not any(is_float(v) for v in node.outputs):
            return False
        if node.op_type == "Cast" and not floats:
            return node.inputs[0] is not None and node.inputs[0].dtype != ir.DataType.BOOL
        known = [v for v in floats if is_stored(v)]
        rest = [v for v in floats if not is_stored(v)]
        return bool(rest) and all(v in self._counted for v in rest) and not any(map(_is_matrix, known))

    def _has_half(self, node: ir.Node) -> bool:
        """Whether ONNX lets the operator compute in float16."""
        kinds = {attribute.type for attribute in node.attributes.values()}
        if node.domain or kinds & {ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS}:
            return True
        try:
            schema = onnx.defs.get_schema(node.op_type, self.opset)
        except onnx.defs.SchemaError:
            return True
        pairs = [*zip(schema.inputs, node.inputs, strict=False), *zip(schema.outputs, node.outputs, strict=False)]
        needed = [parameter for parameter, value in pairs if value is not None and is_float(value)]
        return all("tensor(float16)" in parameter.types for parameter in needed)

    def _grow(self) -> None:
        """Cheap arithmetic that reads what full nodes made, and is read by one, is done without rounding between."""
        reached: set[ir.Node] = set()
        for node in self.nodes:
            made = [v.producer() for v in node.inputs if v is not None and is_float(v) and not is_stored(v)]
            inner = all(n is not None and (n in self.full or n in reached) for n in made)
            if made and inner and not node.domain and node.op_type in CHEAP:
                reached.add(node)
        for node in reversed(self.nodes):
            if node in reached and any(use.node in self.full for v in node.outputs for use in v.uses()):
                self.full.add(node)


def _is_matrix(value: ir.Value) -> bool:
    shape = value.const_value.shape.numpy() if value.const_value is not None else ()
    return sum(axis != 1 for axis in shape) > 1


def _too_large(source: ir.Value, node: ir.Node) -> PassError:
    found = f"`{printable(source.name or '')}` holds {largest(source):.6g}"
    message = f"{found}, beyond float16's largest number, {LARGEST:,.0f}, and reaches a {printable(node.op_type)}"
    return PassError(Diagnostic(message, help="leave `dtype: float16` out"))
