"""What ONNX says of operators: their inputs, attributes and defaults, at the opset of a model."""

from functools import cache
from typing import Any

import onnx
import onnx_ir as ir


@cache
def schema_of(domain: str, op: str, version: int) -> "onnx.defs.OpSchema | None":
    """The schema of an operator, or None where onnx knows none."""
    try:
        return onnx.defs.get_schema(op, version, domain)
    except onnx.defs.SchemaError:
        return None


@cache
def since(op: str) -> int:
    """The first opset that has one of ONNX's operators; 0 for others."""
    found = (s.since_version for s in onnx.defs.get_all_schemas_with_history() if (s.domain, s.name) == ("", op))
    return min(found, default=0)


def attribute_of(node: ir.Node, name: str, version: int) -> Any:
    """Value of an attribute, its operator's default where the node leaves it out; None where there is neither.

    Numbers, texts, tuples of them, tensors as :class:`onnx_ir.TensorProtocol`.
    """
    if name in node.attributes:
        return plain(node.attributes[name])
    schema = schema_of(node.domain, node.op_type, version)
    told = schema.attributes.get(name) if schema else None
    if told is None or not told.default_value.name:
        return None
    return plain(ir.serde.deserialize_attribute(told.default_value))


def plain(attribute: ir.Attr) -> Any:
    """What an attribute holds, its sequences as tuples."""
    return tuple(attribute.value) if isinstance(attribute.value, list | tuple) else attribute.value
