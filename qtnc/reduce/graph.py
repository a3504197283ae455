"""Smaller models: some of the nodes of one, with other sizes, with weights that tell nothing."""

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qtnc.ir.bodies import detach, inside
from qtnc.ir.initializers import drop_unused_initializers

COUNTED = 16
"""Elements up to which integers are shapes, in which sizes stand as numbers."""


def part_of(model: ir.Model, kept: Collection[int]) -> ir.Model | None:
    """A copy with some of the nodes alone, by their places; None where nothing would come out of it.

    What they read of others is an input then; what they make and none of them reads is an output.
    """
    copy = model.clone()
    graph, nodes = copy.graph, [*copy.graph]
    staying = {node for place, node in enumerate(nodes) if place in kept}
    readers = {inner for node in staying for inner in (*inside(node), node)}
    made = {value for node in staying for value in node.outputs}
    outputs = [value for value in graph.outputs if value in made]
    for node in nodes:
        if node in staying and not any(_is_read(value, readers) or value in outputs for value in node.outputs):
            outputs.append(node.outputs[0])
    if not outputs:
        return None
    going = [node for node in nodes if node not in staying]
    inputs = [value for value in graph.inputs if _is_read(value, readers)]
    for value in [value for node in going for value in node.outputs if _is_read(value, readers)]:
        given = ir.Value(name=value.name, shape=value.shape, type=value.type)
        for user, position in [*value.uses()]:
            if user in readers:
                user.replace_input_with(position, given)
        inputs.append(given)
    graph.outputs.clear()
    graph.outputs.extend(outputs)
    graph.inputs.clear()
    graph.inputs.extend(inputs)
    for node in going:
        detach(node)
    graph.remove(going, safe=True)
    drop_unused_initializers(copy)
    return copy


def sizes_of(model: ir.Model) -> list[int]:
    """Sizes of weights' and inputs' axes that may become smaller, the largest first."""
    shapes = [value.const_value.shape for value in _weights(model) if value.const_value is not None]
    shapes += [value.shape for value in model.graph.inputs if value.shape is not None]
    return sorted({axis for shape in shapes for axis in shape if isinstance(axis, int) and axis > 2}, reverse=True)


def resized(model: ir.Model, old: int, new: int) -> ir.Model:
    """A copy in which every axis of one size has another, smaller one, and what follows from shapes is unknown."""
    copy = model.clone()
    for graph in copy.graphs():
        for node in graph:
            for value in node.outputs:
                value.shape = None
        for value in graph.initializers.values():
            if value.const_value is not None:
                _fill(value, _cut(value.const_value.numpy(), old, new))
    for value in (*copy.graph.inputs, *copy.graph.outputs):
        if value.shape is not None:
            value.shape = ir.Shape([new if axis == old else axis for axis in value.shape])
    return copy


def weights_of(model: ir.Model) -> list[str]:
    """Names of the weights of floating-point type."""
    return [str(value.name) for value in _weights(model) if value.dtype and value.dtype.is_floating_point()]


def seeded(model: ir.Model, names: Collection[str]) -> ir.Model:
    """A copy in which weights of these names hold normal numbers of the same size, drawn from a fixed seed."""
    copy = model.clone()
    for value in _weights(copy):
        if value.name in names and value.const_value is not None:
            array = value.const_value.numpy()
            scale = float(np.std(array.astype(np.float64))) or 1.0
            drawn = np.random.default_rng([array.ndim, *array.shape]).standard_normal(array.shape) * scale
            _fill(value, drawn.astype(array.dtype))
    return copy


def bytes_of(model: ir.Model) -> int:
    """Bytes of all weights."""
    return sum(value.const_value.nbytes for value in _weights(model) if value.const_value is not None)


def _weights(model: ir.Model) -> Iterator[ir.Value]:
    for graph in model.graphs():
        yield from graph.initializers.values()


def _is_read(value: ir.Value, readers: Collection[ir.Node]) -> bool:
    return any(user in readers for user, _ in value.uses())


def _cut(array: NDArray[Any], old: int, new: int) -> NDArray[Any]:
    if array.dtype.kind == "i" and array.size <= COUNTED:
        array = np.where(array == old, new, array).astype(array.dtype)
    return array[tuple(slice(new) if size == old else slice(None) for size in array.shape)]


def _fill(value: ir.Value, array: NDArray[Any]) -> None:
    tensor = ir.tensor(np.ascontiguousarray(array), name=value.name)
    value.const_value, value.shape, value.dtype = tensor, ir.Shape(array.shape), tensor.dtype
