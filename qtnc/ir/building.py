"""Building nodes one after another: the part that all lowerings share."""

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

Attributes = dict[str, int | list[int]]


class NodeBuilder:
    """Makes nodes and constants under a prefix; both lists grow in the order of use."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.nodes: list[ir.Node] = []
        self.constants: list[ir.Value] = []

    def node(self, op: str, inputs: Sequence[ir.Value], attributes: Attributes | None = None) -> ir.Value:
        """Append a node of one output and return that."""
        name = f"{self.prefix}{op.lower()}_{len(self.nodes)}"
        node = ir.node(op, list(inputs), attributes=attributes, name=name)
        node.outputs[0].name = name
        self.nodes.append(node)
        return node.outputs[0]

    def constant(self, role: str, array: NDArray[np.generic]) -> ir.Value:
        """Append a constant."""
        name = f"{self.prefix}{role}_{len(self.constants)}"
        tensor = ir.tensor(array, name=name)
        value = ir.val(name, dtype=tensor.dtype, shape=ir.Shape(array.shape), const_value=tensor)
        self.constants.append(value)
        return value

    def ints(self, role: str, numbers: Sequence[int]) -> ir.Value:
        """Append a constant list of int64."""
        return self.constant(role, np.array(numbers, np.int64))

    def reshape(self, value: ir.Value, have: Sequence[int], want: Sequence[int]) -> ir.Value:
        """Reshape, unless the axes are the same; two in a row become one, zeros standing for the same leading axes."""
        if list(have) == list(want):
            return value
        if self.nodes and value is self.nodes[-1].outputs[0] and self.nodes[-1].op_type == "Reshape":
            value = self._drop_last()
        return self.node("Reshape", [value, self.ints("shape", want)])

    def _drop_last(self) -> ir.Value:
        node = self.nodes.pop()
        self.constants.pop()
        value = node.inputs[0]
        node.replace_input_with(0, None)
        assert value is not None  # noqa: S101 - a Reshape has its data
        return value

    def pad(self, value: ir.Value, lead: int, missing: int) -> ir.Value:
        """Append zeros to the last axis, behind ``lead`` others."""
        return self.node("Pad", [value, self.ints("pads", [0] * (2 * lead + 1) + [missing])]) if missing else value

    def cut(self, value: ir.Value, have: int, want: int) -> ir.Value:
        """Keep the first entries of the last axis."""
        if have == want:
            return value
        start, end = self.ints("start", [0]), self.ints("end", [want])
        return self.node("Slice", [value, start, end, self.ints("axis", [-1])])
