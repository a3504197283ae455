"""Models of bfloat16 in 32 bits: onnxruntime multiplies no bfloat16 on CPU, so that is how they are judged."""

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

NARROW, WIDE = ir.DataType.BFLOAT16, ir.DataType.FLOAT

DTYPE_ATTRIBUTES = frozenset({"to", "dtype", "output_dtype"})
"""Attributes of standard operators that name an element type."""


def is_narrow(model: ir.Model) -> bool:
    """Whether inputs, outputs or weights of a model, or of the bodies in it, are bfloat16."""
    return any(value.dtype == NARROW for value in _values(model))


def widened(model: ir.Model) -> ir.Model:
    """A copy in which every bfloat16 is float32: the same numbers stored, nothing rounded in between."""
    wide = model.clone()
    for value in _values(wide):
        if value.const_value is not None and value.const_value.dtype == NARROW:
            value.const_value = _wide(value.const_value)
        if value.dtype == NARROW:
            value.type = ir.TensorType(WIDE)  # a new one: copies share theirs
    for node in _nodes(wide):
        for name, attribute in list(node.attributes.items()):
            if attribute.type == ir.AttributeType.TENSOR and attribute.as_tensor().dtype == NARROW:
                node.attributes[name] = ir.AttrTensor(name, _wide(attribute.as_tensor()))
            elif name in DTYPE_ATTRIBUTES and attribute.type == ir.AttributeType.INT and attribute.value == NARROW:
                node.attributes[name] = ir.AttrInt64(name, WIDE)
    return wide


def _wide(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    return ir.Tensor(tensor.numpy().astype(np.float32), name=tensor.name)


def _nodes(model: ir.Model) -> Iterator[ir.Node]:
    yield from ir.traversal.RecursiveGraphIterator(model.graph)
    for function in model.functions.values():
        yield from ir.traversal.RecursiveGraphIterator(function)


def _values(model: ir.Model) -> Iterator[ir.Value]:
    for graph in model.graphs():
        yield from graph.inputs
        yield from graph.initializers.values()
    for function in model.functions.values():
        yield from function.inputs
    for node in _nodes(model):
        yield from node.outputs
