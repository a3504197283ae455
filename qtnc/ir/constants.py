"""Values that are known before a model runs: initialisers, and what operators that add nothing make of them."""

from collections.abc import Hashable, Iterator, Mapping
from math import prod

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qtnc.errors import PassError

Array = NDArray[np.generic]

FOLLOWED = frozenset(
    {
        *("Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"),
        *("Cast", "CastLike", "DequantizeLinear"),
    }
)
"""Operators behind which a weight is looked for: their result has as many elements as what they read."""

PICKING = frozenset({"Gather", "Slice", "Split"})
"""The same where a result has no more elements, as that of one expert's weight from a stack of all."""

PLAIN = frozenset({ir.AttributeType.INT, ir.AttributeType.INTS, ir.AttributeType.FLOAT, ir.AttributeType.STRING})


class Constants:
    """Which values of a model are constant, which of them are one, and what they hold.

    A weight behind a Transpose or DequantizeLinear stays as small as it is stored until somebody asks for its numbers.
    """

    def __init__(self, model: ir.Model) -> None:
        self._opsets = dict(model.graph.opset_imports)
        self._numbers: dict[ir.Value, int] = {}  # in an order in which they can be computed
        self._made: dict[Hashable, int] = {}
        self._turned: dict[int, int] = {}
        for graph in model.graphs():
            for value in graph.initializers.values():
                if value.const_value is not None and not value.is_graph_input():
                    self._numbers[value] = len(self._numbers)
        for node in ir.traversal.RecursiveGraphIterator(model.graph):
            if _is_followed(node) and all(v in self for v in node.inputs if v is not None):
                for output in node.outputs:
                    self._numbers[output] = self._number(node, output)

    def __contains__(self, value: ir.Value) -> bool:
        """Whether the value is constant."""
        return value in self._numbers

    def __iter__(self) -> Iterator[ir.Value]:
        """All constants, each after those from which it is computed."""
        return iter(self._numbers)

    def matrix_key(self, value: ir.Value, *, transposed: bool) -> tuple[int, bool]:
        """The same for values, transposed or not, that hold the same matrix by construction."""
        number = self._numbers[value]
        return (self._turned[number], not transposed) if number in self._turned else (number, transposed)

    def sources(self, value: ir.Value) -> tuple[ir.Value, ...]:
        """Initialisers whose numbers the value holds, itself where it is one; shapes and indices are none of them."""
        wanted, found, seen = [value], list[ir.Value](), {value}
        while wanted:
            value = wanted.pop()
            node = value.producer()
            if node is None:
                found.append(value)
                continue
            read = node.inputs if node.op_type == "DequantizeLinear" else node.inputs[:1]
            new = [v for v in read if v is not None and v not in seen]
            seen.update(new)
            wanted += reversed(new)
        return tuple(found)

    def array(self, value: ir.Value) -> Array:
        """The numbers of a constant.

        Raises
        ------
        PassError
            If they cannot be computed.
        """
        found: dict[ir.Value, Array] = {}
        cone = self._cone(value)
        last = {read: node for node in cone for read in node.inputs if read is not None}
        for node in cone:
            results = evaluate(node, self._opsets, found)
            if results is None:
                raise PassError(f"constant `{value.name}` cannot be computed: {node.op_type} fails on what it reads")
            found |= zip(node.outputs, results, strict=True)
            for read in [read for read in node.inputs if read in found and last[read] is node]:
                found.pop(read, None)  # a chain of large ones takes no more than two
        return found[value] if value in found else _stored(value)

    def _number(self, node: ir.Node, output: ir.Value) -> int:
        """One number for what all nodes make that do the same to the same."""
        inputs = tuple(None if value is None else self._numbers[value] for value in node.inputs)
        if node.op_type == "Identity" and inputs[0] is not None:
            return inputs[0]
        attributes = node.attributes.values()
        new = len(self._numbers)
        if not all(attribute.type in PLAIN for attribute in attributes):
            return new
        told = tuple(sorted((attribute.name, str(attribute.value)) for attribute in attributes))
        made = (node.op_type, inputs, told, output.index())
        number = self._made.setdefault(made, new)
        if number == new and _turns(node) and inputs[0] is not None:
            if inputs[0] in self._turned:
                self._made[made] = self._turned[inputs[0]]
                return self._turned[inputs[0]]
            self._turned[new] = inputs[0]
        return number

    def _cone(self, value: ir.Value) -> tuple[ir.Node, ...]:
        """Nodes that compute a constant, in order."""
        if value.producer() is None:
            return ()
        wanted, found = [value], dict[ir.Node, None]()
        while wanted:
            node = wanted.pop().producer()
            if node is not None and node not in found:
                found[node] = None
                wanted += [v for v in node.inputs if v is not None]
        producers = dict.fromkeys(constant.producer() for constant in self._numbers)
        return tuple(node for node in producers if node is not None and node in found)


def evaluate(node: ir.Node, opsets: Mapping[str, int], known: Mapping[ir.Value, Array]) -> tuple[Array, ...] | None:
    """Run one node on constants in onnx's reference evaluator, for all outputs; None where it has no kernel for it.

    Parameters
    ----------
    known : inputs that are no initialisers.
    """
    from onnx.reference import ReferenceEvaluator

    inputs = [value for value in dict.fromkeys(node.inputs) if value is not None]
    arrays = [known[value] if value in known else _stored(value) for value in inputs]
    types = [ir.TensorType(ir.DataType.from_numpy(array.dtype)) for array in arrays]
    clones = {v: ir.val(f"in_{k}", type=t) for k, (v, t) in enumerate(zip(inputs, types, strict=True))}
    versions = dict(opsets)
    if node.op_type == "DequantizeLinear":  # the evaluator begins there; what older ones do, it does too
        versions[""] = max(versions[""], 19)
    graph = ir.Graph([], [], nodes=[], opset_imports=versions)
    operands = [None if v is None else clones[v] for v in node.inputs]
    copy = ir.node(node.op_type, operands, dict(node.attributes), num_outputs=len(node.outputs))
    for k, output in enumerate(copy.outputs):
        output.name = f"folded_{k}"
    graph.inputs.extend(clones.values())
    graph.append(copy)
    graph.outputs.extend(copy.outputs)
    proto = ir.to_proto(ir.Model(graph, ir_version=10))
    feeds = {str(clones[value].name): array for value, array in zip(inputs, arrays, strict=True)}
    try:
        results = ReferenceEvaluator(proto).run(None, feeds)
    except Exception:  # the reference kernels raise whatever their arithmetic leads to
        return None  # left for run time, where onnxruntime has the kernel or says what is wrong
    return tuple(map(np.asarray, results))


def _stored(value: ir.Value) -> Array:
    assert value.const_value is not None  # noqa: S101 - initialisers carry their tensor
    return value.const_value.numpy()


def _is_followed(node: ir.Node) -> bool:
    if node.domain != "" or node.op_type not in FOLLOWED | PICKING:
        return False
    return node.op_type in FOLLOWED or all(_picks(node.inputs[0], output) for output in node.outputs)


def _picks(data: ir.Value | None, output: ir.Value) -> bool:
    """Whether a result is known to have no more elements than what it is taken from."""
    if data is None or data.shape is None or output.shape is None:
        return False
    sizes = (*data.shape, *output.shape)
    return all(isinstance(size, int) for size in sizes) and prod(output.shape.numpy()) <= prod(data.shape.numpy())


def _turns(node: ir.Node) -> bool:
    """Whether a Transpose exchanges the two axes of a matrix, or of each in a stack."""
    if node.op_type != "Transpose" or node.inputs[0] is None:
        return False
    shape = node.inputs[0].shape
    perm = node.attributes.get_ints("perm", None)
    if perm is None:
        return shape is not None and len(shape) == 2
    rank = len(perm)
    return rank >= 2 and tuple(perm) == (*range(rank - 2), rank - 1, rank - 2)
