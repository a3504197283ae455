"""What a rule may ask of a value of the graph, which no arithmetic answers."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import onnx_ir as ir

from qtnc.errors import printable
from qtnc.ir.dtypes import dtype_word
from qtnc.ir.names import module_path


class UnknownError(Exception):
    """A question that has no answer here, such as the size of a symbolic axis; the text says which."""


def _shape(value: ir.Value | None) -> ir.Shape:
    if value is None:
        raise UnknownError("it is not there")
    if not is_tensor(value):
        raise UnknownError(f"it is {type_word(value)}")
    if value.shape is None:
        raise UnknownError("its rank is unknown")
    return value.shape


def _dim(value: ir.Value | None, axis: float) -> int:
    shape, k = _shape(value), int(axis)
    if not -len(shape) <= k < len(shape):
        raise UnknownError(f"it has no axis {k}")
    size = shape[k]
    if not isinstance(size, int):
        raise UnknownError(f"the size of its axis {k} is known at run time only")
    return size


def _sizes(value: ir.Value | None) -> tuple[int, ...]:
    return tuple(_dim(value, k) for k in range(len(_shape(value))))


def _count(value: ir.Value | None) -> int:
    product = 1
    for size in _sizes(value):
        product *= size
    return product


def _dtype(value: ir.Value | None) -> ir.DataType:
    if value is None or value.dtype is None:
        raise UnknownError("its element type is unknown")
    if not is_tensor(value):
        raise UnknownError(f"it is {type_word(value)}")
    return value.dtype


def _uses(value: ir.Value | None) -> int:
    return 0 if value is None else len(value.uses()) + int(value.is_graph_output())


def _name(value: ir.Value | None) -> str:
    node = None if value is None else value.producer()
    if node is None:
        return "" if value is None else value.name or ""
    return module_path(node) or node.name or ""


def _op(value: ir.Value | None) -> str:
    node = None if value is None else value.producer()
    if node is None:
        return ""
    return op_word(node)


def op_word(node: ir.Node) -> str:
    """Operator of a node, as a pattern writes it."""
    return f"{node.domain}.{node.op_type}" if node.domain else node.op_type


def title(thing: ir.Value | ir.Node) -> str:
    """Name of a value or a node, for a message: names are hostile."""
    return printable(thing.name or "")


def article(word: str) -> str:
    """The word with ``a`` or ``an`` before it."""
    return f"{'an' if word[:1] in 'AEIO' else 'a'} {word}"


def is_tensor(value: ir.Value) -> bool:
    """Whether a value is a tensor, as far as its type is known; no sequence, map or optional."""
    return value.type is None or isinstance(value.type, ir.TensorType)


def type_word(value: ir.Value) -> str:
    """``float32``, ``a sequence of float32``: what a value is, for a message."""
    words, kind = [], value.type
    while isinstance(kind, ir.SequenceType | ir.OptionalType):
        words.append("a sequence of" if isinstance(kind, ir.SequenceType) else "an optional")
        kind = kind.elem_type
    return " ".join([*words, dtype_word(kind.dtype) if isinstance(kind, ir.TensorType) else "of another type"])


def is_const(value: ir.Value | None) -> bool:
    """Whether the numbers of a value are known at compile time and no run can set them."""
    return value is not None and value.const_value is not None and not value.is_graph_input()


def _same(a: ir.Value | None, b: ir.Value | None) -> bool:
    first, second = _shape(a), _shape(b)
    return len(first) == len(second) and all(map(_is_one, first, second))


def _spreads(a: ir.Value | None, b: ir.Value | None) -> bool:
    first, second = list(_shape(a)), list(_shape(b))
    if len(first) > len(second):
        return False
    return all(x == 1 or _is_one(x, y) for x, y in zip(first, second[len(second) - len(first) :], strict=True))


def _is_one(a: int | ir.SymbolicDim, b: int | ir.SymbolicDim) -> bool:
    """Whether two sizes are surely equal: one number, or one name."""
    if isinstance(a, int) or isinstance(b, int):
        return isinstance(a, int) and isinstance(b, int) and a == b
    return a.value is not None and a.value == b.value


MEASURES: Final[Mapping[str, Callable[..., Any]]] = MappingProxyType(
    {
        "rank": lambda value: len(_shape(value)),
        "shape": _sizes,
        "size": _count,
        "dim": _dim,
        "dtype": _dtype,
        "uses": _uses,
        "is_output": lambda value: value is not None and value.is_graph_output(),
        "is_const": is_const,
        "missing": lambda value: value is None or value.name == "",
        "name": _name,
        "op": _op,
        "same_shape": _same,
        "broadcasts": _spreads,
    }
)
"""By the word of the language. Each may raise an UnknownError."""
