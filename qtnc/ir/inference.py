"""Shapes and types by onnx's own inference, in bounded memory and time."""

import subprocess
import sys
from typing import Final

import onnx
import onnx_ir as ir

SMALL: Final = 1000
"""Bytes up to which a weight goes along: shapes are computed from small ones only."""

INVENTED: Final = "unk__"
"""How names begin that onnx makes up for sizes that it does not know."""

SECONDS: Final = 60
"""After which shapes that need elements stay unknown."""


def infer_shapes(model: ir.Model) -> ir.Model:
    """Infer what can be, in place; what inference does not find stays unknown.

    Shapes that depend on the elements of others are found by a process of its own; see :mod:`qtnc.ir.following`.
    """
    small = light(model)
    try:
        _take_over(model, onnx.shape_inference.infer_shapes(small))
    except Exception:  # inference raises whatever damage leads to; what it does not find is unknown
        return model
    if any(_unknown(value) for graph in model.graphs() for node in graph for value in node.outputs):
        _follow(model, small)
    return model


def _unknown(value: ir.Value) -> bool:
    """Whether the shape is not known, or the size of an axis neither by number nor by a name of the model's."""
    if value.shape is None:
        return True
    return any(not isinstance(axis, int) and (axis.value or INVENTED).startswith(INVENTED) for axis in value.shape)


def _follow(model: ir.Model, small: bytes) -> None:
    """Take over what a process finds that may not take all memory, nor all time."""
    if not sys.executable:
        return
    command = [sys.executable, "-P", "-m", "qtnc.ir.following"]  # -P: nothing is imported from where we are
    try:
        done = subprocess.run(command, input=small, capture_output=True, timeout=SECONDS, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        return
    if not done.returncode:
        _take_over(model, onnx.ModelProto.FromString(done.stdout))


def _take_over(model: ir.Model, proto: onnx.ModelProto) -> None:
    """Shapes and types of all values that have the same name."""
    for graph, inferred in zip(model.graphs(), ir.from_proto(proto).graphs(), strict=True):
        values = ir.convenience.create_value_mapping(inferred)
        for name, value in ir.convenience.create_value_mapping(graph).items():
            if name not in values:
                continue
            if values[name].shape is not None:
                value.shape = values[name].shape
            if (dtype := values[name].dtype) is not None:
                value.dtype = dtype


def light(model: ir.Model) -> bytes:
    """The model as a file without its large weights, of which it keeps shapes and types as those of inputs."""
    copy = model.clone()
    weights = copy.graph.initializers
    for name, value in list(weights.items()):
        if value.const_value is None or value.const_value.nbytes <= SMALL:
            continue
        value.shape, value.dtype = ir.Shape(value.const_value.shape.numpy()), value.const_value.dtype
        value.const_value = None
        del weights[name]
        if not value.is_graph_input():
            copy.graph.inputs.append(value)
    return bytes(ir.to_proto(copy).SerializeToString())
