"""Types and shapes of what one new node makes."""

from collections.abc import Mapping
from typing import Final

import onnx
import onnx_ir as ir

from qtnc.ir.dialect import is_qtn, product_of
from qtnc.rules.found import decline
from qtnc.rules.measures import is_const, title
from qtnc.rules.schemas import schema_of
from qtnc.tensor.network import spread

SMALL: Final = 1000
"""Bytes up to which constants are shown to the inference: shapes hang on small ones only."""


def infer_results(node: ir.Node, opsets: Mapping[str, int]) -> None:
    """Give the results of a node their types and shapes, as far as its inputs tell.

    Raises
    ------
    DeclinedError
        If its inputs do not go together.
    """
    if is_qtn(node):
        _infer_product(node)
        return
    schema = schema_of(node.domain, node.op_type, opsets.get(node.domain, 1))
    if schema is None:
        return
    read = {str(value.name): value for value in node.inputs if value is not None}
    types = {name: kind for name, value in read.items() if (kind := _type(value)) is not None}
    if len(types) < len(read):
        return  # onnx infers nothing of what reads a value of unknown type
    numbers = {name: ir.to_proto(tensor) for name, value in read.items() if (tensor := _small(value)) is not None}
    versions = [onnx.helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    try:
        found = onnx.shape_inference.infer_node_outputs(
            schema, ir.to_proto(node), types, numbers, opset_imports=versions, ir_version=10
        )
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError) as error:
        reason = str(error).removeprefix("[ShapeInferenceError] ").removeprefix("[TypeInferenceError] ")
        decline(f"a new {node.op_type} cannot be: {reason[:200]}")
    for output in node.outputs:
        if output.name in found:
            output.type = ir.serde.deserialize_type_proto_for_type(found[output.name])
            output.shape = ir.serde.deserialize_type_proto_for_shape(found[output.name])


def _infer_product(node: ir.Node) -> None:
    """Of a network or circuit done again."""
    x, product = node.inputs[0], product_of(node)
    if x is None or x.shape is None or x.shape[-1] != product.features[0]:
        decline(
            f"a new {node.op_type} reads {product.features[0]} features, and `{title(x) if x else x}` has not as many",
            x,
        )
    node.outputs[0].type = x.type
    node.outputs[0].shape = ir.Shape([*spread(x.shape[:-1], product.stack), product.features[1]])


def _type(value: ir.Value) -> onnx.TypeProto | None:
    if value.type is None:
        return None
    proto = ir.to_proto(value)
    return proto.type if proto.HasField("type") else None


def _small(value: ir.Value) -> ir.TensorProtocol | None:
    tensor = value.const_value
    if not is_const(value) or tensor is None or tensor.dtype == ir.DataType.STRING:
        return None
    return tensor if tensor.nbytes <= SMALL else None
