"""A small graph out of equations: the `before` of an example, with seeded numbers for what it leaves open."""

from collections.abc import Sequence
from math import prod
from typing import Any, Final

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qtnc.errors import Diagnostic, SpecError
from qtnc.rules.found import DeclinedError
from qtnc.rules.operands import attribute_for, in_type, wanted_type
from qtnc.rules.operators import CLASSES
from qtnc.rules.pattern import ANY, Capture, Either, Equation, Kind, Literal, Operation, Pattern
from qtnc.rules.results import infer_results
from qtnc.rules.schemas import schema_of
from qtnc.source import Span

OPSET: Final = 21
"""Of examples whose operators are all in it: what most models have at most."""

LARGEST: Final = 1 << 20
"""Elements of a value of an example."""


def draw(equations: Sequence[Equation], seed: int = 0, opset: int = OPSET) -> ir.Model:
    """Build the graph that equations describe; what no other of them reads is handed out.

    Nodes and values are called as the equations call them, for messages speak of them.

    Raises
    ------
    SpecError
        If they leave a shape open, contradict themselves, or are too large.
    """
    return _Drawing(equations, seed, opset).model()


class _Drawing:
    def __init__(self, equations: Sequence[Equation], seed: int, opset: int) -> None:
        self._equations, self._opset = equations, opset
        self._rng = np.random.default_rng(seed)
        self._graph = ir.Graph([], [], nodes=[], opset_imports={"": opset}, name="example")
        self._known: dict[str, ir.Value] = {}
        self._read: set[ir.Value] = set()

    def model(self) -> ir.Model:
        made = [value for equation in self._equations for value in self._equation(equation)]
        self._graph.outputs.extend(value for value in made if value not in self._read)
        for value in self._graph.outputs:
            if value.shape is None or value.dtype is None:
                raise self._wrong("the shape of what it makes is unknown", self._equations[-1].span)
        return ir.Model(self._graph, ir_version=10)

    def _equation(self, equation: Equation) -> list[ir.Value]:
        node = self._node(equation.operation, equation.outputs)
        for name, value in zip(equation.outputs, node.outputs, strict=True):
            if name != ANY:
                self._known[name] = value
        return [value for name, value in zip(equation.outputs, node.outputs, strict=True) if name != ANY]

    def _node(self, operation: Operation, outputs: Sequence[str] = (ANY,)) -> ir.Node:
        op = operation.ops[0]
        if len(operation.ops) > 1 or op in CLASSES:
            raise self._wrong("an example names one operator", operation.span)
        domain, _, op_type = op.rpartition(".")
        schema = schema_of(domain, op_type, self._opset)
        literals = {k: p for k, p in enumerate(operation.inputs) if isinstance(p, Literal)}
        inputs: list[Any] = [
            literals[k].value if k in literals else self._value(p) for k, p in enumerate(operation.inputs)
        ]
        try:
            read = [
                self._constant(in_type(operand, wanted_type(k, inputs, schema))) if k in literals else operand
                for k, operand in enumerate(inputs)
            ]
            attributes = [attribute_for(a.name, a.value, schema) for a in operation.attributes if a.bound is None]
            if len(attributes) < len(operation.attributes):
                raise self._wrong("an example gives attributes their values", operation.span)
            self._read.update(read)
            node = ir.node(op_type, read, {a.name: a for a in attributes}, domain=domain, num_outputs=len(outputs))
            named = [name for name in outputs if name != ANY and name not in self._known]
            node.name = named[0] if named else f"{op_type}.{len(self._graph)}"  # with a dot, which no name has
            for k, output in enumerate(node.outputs):
                output.name = outputs[k] if outputs[k] in named else f"{node.name}.{k}"
            infer_results(node, {"": self._opset, domain: self._opset if not domain else 1})
        except DeclinedError as declined:
            raise self._wrong(declined.reason, operation.span) from declined
        for value in node.outputs:
            self._check_size(value.shape, operation.span)
        self._graph.opset_imports.setdefault(domain, 1)
        self._graph.append(node)
        return node

    def _value(self, pattern: Pattern) -> ir.Value:
        if isinstance(pattern, Operation):
            value = self._node(pattern).outputs[0]
            if pattern.name:
                self._known[pattern.name] = value
            return value
        if isinstance(pattern, Either) or not isinstance(pattern, Capture) or pattern.optional or pattern.rest:
            raise self._wrong("an example says what is there, and no alternatives", pattern.span)
        if pattern.name not in self._known:
            self._known[pattern.name] = self._new(pattern)
        return self._known[pattern.name]

    def _new(self, capture: Capture) -> ir.Value:
        """An input, or a constant."""
        kind, name = capture.kind, capture.name if capture.name != ANY else f"value_{len(self._known)}"
        array = self._numbers(kind, capture.span)
        if kind.const:
            return self._constant(array, name)
        value = ir.Value(
            name=name, shape=ir.Shape(array.shape), type=ir.TensorType(ir.DataType.from_numpy(array.dtype))
        )
        self._graph.inputs.append(value)
        return value

    def _numbers(self, kind: Kind, span: Span | None) -> NDArray[Any]:
        sizes = kind.axes.sizes if kind.axes else () if kind.size == 1 or kind.rank == 0 else None
        if sizes is None or (kind.axes and kind.axes.rest is not None) or not all(isinstance(s, int) for s in sizes):
            raise self._wrong("an example says the size of every axis, as in `x: float[2, 3]`", span)
        shape = tuple(int(size) for size in sizes if isinstance(size, int))
        self._check_size(ir.Shape(shape), span)
        words = kind.dtypes or {"float"}
        word = next((w for w in ("float", "int64", "bool") if w in words), min(words))
        dtype = ir.DataType[word.upper()].numpy()
        if word == "bool":
            return self._rng.integers(0, 2, shape).astype(np.bool_)
        if np.issubdtype(dtype, np.integer):
            return self._rng.integers(1, 5, shape).astype(dtype)
        return (np.abs(self._rng.normal(size=shape)) + 0.1 if not shape else self._rng.normal(size=shape)).astype(dtype)

    def _constant(self, array: NDArray[Any], name: str | None = None) -> ir.Value:
        called = name or f"constant_{len(self._graph.initializers)}"
        tensor = ir.Tensor(np.asarray(array, order="C"), name=called)
        value = ir.Value(name=called, shape=tensor.shape, type=ir.TensorType(tensor.dtype), const_value=tensor)
        self._graph.register_initializer(value)
        return value

    def _check_size(self, shape: ir.Shape | None, span: Span | None) -> None:
        if shape is not None and shape.is_static() and prod(map(int, shape.numpy())) > LARGEST:
            raise self._wrong(f"a value of an example has at most {LARGEST:,} elements", span)

    def _wrong(self, message: str, span: Span | None) -> SpecError:
        return SpecError(Diagnostic(message, span))
