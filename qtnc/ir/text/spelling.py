"""How names, strings, numbers and types are spelled.

Names come from files of strangers. One that is not plain is quoted, with every character escaped that a terminal or
an editor would act on, so that a name never ends a line, a string or a colour.
"""

import json
import re
from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from qtnc.errors import ImportModelError

_PLAIN_VALUE = re.compile(r"/?[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*")
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN_OPERATOR = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*")
_AFTER_A_NODE = frozenset({"as", "doc", "meta", "weight"})
"""Words of the grammar that stand where an operator may begin the next line."""

LISTS = {
    ir.AttributeType.INT: ir.AttributeType.INTS,
    ir.AttributeType.FLOAT: ir.AttributeType.FLOATS,
    ir.AttributeType.STRING: ir.AttributeType.STRINGS,
    ir.AttributeType.TENSOR: ir.AttributeType.TENSORS,
    ir.AttributeType.GRAPH: ir.AttributeType.GRAPHS,
    ir.AttributeType.TYPE_PROTO: ir.AttributeType.TYPE_PROTOS,
}
"""Kind of a list of attributes, by the kind of its items."""


def kind_word(kind: ir.AttributeType) -> str:
    """``int``, ``floats``, ``type_protos``."""
    return kind.name.lower()


def clipped(text: str) -> str:
    """What a message shows of a text that may be long."""
    return text if len(text) <= 40 else text[:37] + "..."


def quoted(text: str) -> str:
    """Return a string in double quotes, as JSON reads it."""
    body = json.dumps(text, ensure_ascii=False)
    return body if body.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in body)


def unquoted(text: str) -> str:
    """Inverse of :func:`quoted`.

    Raises
    ------
    ValueError
        If an escape is wrong, or half of a surrogate pair.
    """
    found: str = json.loads(text)
    found.encode("utf-8")
    return found


def value_name(name: str) -> str:
    """``%name``, quoted unless plain."""
    return "%" + (name if _PLAIN_VALUE.fullmatch(name) else quoted(name))


def label(name: str) -> str:
    """Name of an attribute, an axis or a graph, quoted unless plain."""
    return name if _PLAIN_NAME.fullmatch(name) else quoted(name)


def operator(domain: str, op_type: str, overload: str) -> str:
    """``domain.Op["overload"]``; both parts quoted where they are not plain."""
    name = f"{domain}.{op_type}" if domain else op_type
    plain = _PLAIN_OPERATOR.fullmatch(name) and "." not in op_type and name not in _AFTER_A_NODE
    spelled = name if plain else f"{quoted(domain)}::{quoted(op_type)}"
    return f"{spelled}[{quoted(overload)}]" if overload else spelled


def float32(number: float) -> str:
    """Shortest decimal that reads back as the same 32-bit float, always recognisable as a float."""
    with np.errstate(over="ignore"):
        return str(np.float32(number))


def pairs(entries: Mapping[str, str]) -> str:
    """``{"key": "value", ...}``, sorted."""
    return "{" + ", ".join(f"{quoted(k)}: {quoted(entries[k])}" for k in sorted(entries)) + "}"


def type_text(type_: ir.TypeProtocol | None, shape: ir.ShapeProtocol | None) -> str:
    """``f32[batch, 8]``, ``seq(f32[8])``; ``_`` where nothing is known, no brackets where the rank is not."""
    said = f"~{quoted(type_.denotation)}" if type_ is not None and type_.denotation else ""
    if isinstance(type_, ir.SequenceType | ir.OptionalType):
        word = "seq" if isinstance(type_, ir.SequenceType) else "optional"
        return f"{word}({type_text(type_.elem_type, shape)}){said}"
    axes = "" if shape is None else f"[{', '.join(_dim(shape, k) for k in range(len(shape)))}]"
    if type_ is None:
        return f"_{axes}"
    element = f"{type_.dtype.short_name()}{axes}"
    if isinstance(type_, ir.SparseTensorType):
        return f"sparse({element}){said}"
    if isinstance(type_, ir.TensorType):
        return element + said
    raise ImportModelError(f"the text form has no word for the type {type_!r}")


def _dim(shape: ir.ShapeProtocol, axis: int) -> str:
    size, denotation = shape[axis], shape.get_denotation(axis)
    name = str(size) if isinstance(size, int) else size.value
    spelled = "?" if name is None else name if isinstance(size, int) else label(name)
    return f"{spelled}~{quoted(denotation)}" if denotation else spelled
