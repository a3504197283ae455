"""What onnx's own checker lets through, and what must not reach the libraries that read on."""

from collections import Counter
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Final

import onnx

from qtnc.errors import printable
from qtnc.ir.equations import plain_equation

MOST_NODES: Final = 1_000_000
"""Nodes of a model whose functions are put where they are called."""

MOST_CALLS: Final = 10_000
"""Of one function: every call needs names of its own, for which onnx_ir takes quadratic time."""

Key = tuple[str, str, str]


def fault(proto: onnx.ModelProto) -> str | None:
    """Say what is wrong with a model before anything else reads it, or None."""
    return _sparse(proto) or _reference(proto) or _equation(proto) or _calls(proto)


def forget_negative_sizes(proto: onnx.ModelProto) -> None:
    """Leave sizes below zero unknown: some exporters write -1 for an axis of any size."""
    for graph in _graphs(proto.graph):
        for value in (*graph.input, *graph.output, *graph.value_info):
            for axis in value.type.tensor_type.shape.dim:
                if axis.dim_value < 0:
                    axis.ClearField("dim_value")


def _sparse(proto: onnx.ModelProto) -> str | None:
    for graph in _graphs(proto.graph):
        for sparse in graph.sparse_initializer:
            return f"tensor {_shown(sparse.values.name)} is sparse, which is not supported (export it dense)"
    for node in _nodes(proto):
        for attribute in node.attribute:
            if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
                return f"node {_called(node)} holds a sparse tensor, which is not supported (export it dense)"
    return None


def _reference(proto: onnx.ModelProto) -> str | None:
    for node in _inner(proto.graph.node):
        for attribute in node.attribute:
            if attribute.ref_attr_name:
                return f"{_shown(attribute.name)} of node {_called(node)} refers to an attribute of no function"
    return None


def _equation(proto: onnx.ModelProto) -> str | None:
    for node in _nodes(proto):
        for attribute in node.attribute if node.op_type == "Einsum" else ():
            text = attribute.s.decode("utf-8", "replace")
            if attribute.name == "equation" and plain_equation(text) is None:
                return f"equation {_shown(text)} of node {_called(node)} is not one of letters, commas and one arrow"
    return None


def _calls(proto: onnx.ModelProto) -> str | None:
    """Functions that call each other so often that the model would have no end, or do so in a circle."""
    functions = {_key(function): function for function in proto.functions}
    called = {key: Counter(map(_key, _inner(function.node))) for key, function in functions.items()}
    called = {key: Counter({k: n for k, n in held.items() if k in functions}) for key, held in called.items()}
    try:
        order = [*TopologicalSorter(called).static_order()][::-1]
    except CycleError as error:
        return f"functions call each other in a circle: {' -> '.join(_shown(key[1]) for key in error.args[1])}"
    calls = Counter(_key(node) for node in _inner(proto.graph.node))
    nodes = calls.total()
    for key in order:
        for inner, count in called[key].items():
            calls[inner] += calls[key] * count
        nodes += calls[key] * len(functions[key].node)
        if calls[key] > MOST_CALLS:
            return f"function {_shown(key[1])} is called {calls[key]:,} times, more than {MOST_CALLS:,}"
        if nodes > MOST_NODES:
            return f"its functions make it {nodes:,} nodes, more than {MOST_NODES:,}, with {_shown(key[1])}"
    return None


def _key(held: onnx.NodeProto | onnx.FunctionProto) -> Key:
    name = held.op_type if isinstance(held, onnx.NodeProto) else held.name
    return held.domain, name, held.overload


def _nodes(proto: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    yield from _inner(proto.graph.node)
    for function in proto.functions:
        yield from _inner(function.node)


def _inner(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Nodes, and those in their bodies."""
    for node in nodes:
        yield node
        for graph in _bodies(node):
            yield from _inner(graph.node)


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for body in _bodies(node):
            yield from _graphs(body)


def _bodies(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _called(node: onnx.NodeProto) -> str:
    return _shown(node.name or (node.output[0] if node.output else node.op_type))


def _shown(name: str) -> str:
    return f"`{printable(str(name))}`"
