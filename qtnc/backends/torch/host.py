"""Shape arithmetic as Python numbers.

Exported graphs compute shapes with tensors (Shape, Gather, Concat, ...). Written so in torch they break
``torch.export``; here they become Python ints, folded where known and spelled out where not.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx_ir as ir

from qtnc.backends.torch.expression import Expr, as_expr, binary, call, condition, unary

Item = bool | int | float | Expr
"""A number that is known, or the expression of one that is not."""

Size = Item | None
Axes = tuple[Size, ...]
"""Sizes of the axes of a value, None where nothing is known."""

LARGEST = 64
"""Elements beyond which a constant is data and not a shape."""

_HUGE = 1e38
"""Near the end of float32 the short spelling can lie beyond it."""

FLOATS: Final = frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.BFLOAT16})
WHOLE: Final = frozenset({ir.DataType.INT64, ir.DataType.INT32, ir.DataType.INT16, ir.DataType.INT8})
KINDS: Final = FLOATS | WHOLE | {ir.DataType.BOOL}


@dataclass(frozen=True)
class Host:
    """A scalar or a vector that lives in Python."""

    items: tuple[Item, ...]
    dtype: ir.DataType
    vector: bool

    @property
    def scalar(self) -> Item:
        """The only item."""
        (item,) = self.items
        return item

    @property
    def constant(self) -> bool:
        """Whether every item is known."""
        return not any(isinstance(i, Expr) for i in self.items)

    def broadcast(self, length: int) -> tuple[Item, ...]:
        """Items, repeated to ``length``."""
        return self.items * length if len(self.items) == 1 else self.items


class NotOnHostError(Exception):
    """The value cannot be had as Python numbers; the caller goes on with tensors."""


def known(item: Item) -> bool | int | float | None:
    """The number, or None when it is an expression."""
    return None if isinstance(item, Expr) else item


def from_tensor(tensor: ir.TensorProtocol) -> Host | None:
    """Read a small constant; floats only when they are single numbers."""
    array_dims = len(tensor.shape)
    if tensor.dtype not in KINDS or array_dims > 1 or tensor.size > (1 if tensor.dtype in FLOATS else LARGEST):
        return None
    values = tensor.numpy().reshape(-1)
    return Host(tuple(_number(v, tensor.dtype) for v in values), tensor.dtype, array_dims == 1)


def _number(value: object, dtype: ir.DataType) -> bool | int | float:
    """Python number for an element; a float32 is written with the digits it needs, not those of its double."""
    if dtype is ir.DataType.BOOL:
        return bool(value)
    if dtype in WHOLE:
        return int(value)  # type: ignore[call-overload, no-any-return]
    number = float(value)  # type: ignore[arg-type]
    short = float(str(np.float32(number))) if dtype is ir.DataType.FLOAT and math.isfinite(number) else number
    return short if abs(short) <= abs(number) or abs(number) < _HUGE else number


def _cast(value: bool | int | float, dtype: ir.DataType) -> bool | int | float:
    if dtype in FLOATS:
        return _number(np.asarray(value, dtype.numpy()).reshape(-1)[0], dtype)
    if not math.isfinite(value):
        raise NotOnHostError
    return bool(value) if dtype is ir.DataType.BOOL else int(value)


def add(a: Item, b: Item) -> Item:
    """``a + b``."""
    if a == 0:
        return b
    if b == 0:
        return a
    if not isinstance(a, Expr) and not isinstance(b, Expr):
        return a + b
    if not isinstance(b, Expr) and not isinstance(b, bool) and b < 0:
        return binary("-", a, -b)
    return binary("+", a, b)


def subtract(a: Item, b: Item) -> Item:
    """``a - b``."""
    if b == 0:
        return a
    if isinstance(a, Expr) and a == b:
        return 0
    if not isinstance(a, Expr) and not isinstance(b, Expr):
        return a - b
    return binary("-", a, b)


def multiply(a: Item, b: Item) -> Item:
    """``a * b``."""
    if a == 1 and not isinstance(a, bool):
        return b
    if b == 1 and not isinstance(b, bool):
        return a
    if not isinstance(a, Expr) and not isinstance(b, Expr):
        return a * b
    return binary("*", a, b)


def _divide(a: Item, b: Item, dtype: ir.DataType) -> Item:
    if b == 1:
        return a
    if dtype in FLOATS:
        return a / b if not isinstance(a, Expr) and not isinstance(b, Expr) else binary("/", a, b)
    if not isinstance(a, Expr) and not isinstance(b, Expr):
        return math.trunc(a / b) if abs(a) < 2**52 else int(a) // int(b)
    if not (as_expr(a).natural and as_expr(b).natural):
        raise NotOnHostError  # integer division truncates in ONNX and floors in Python
    return binary("//", a, b)


def _modulo(a: Item, b: Item) -> Item:
    if not isinstance(a, Expr) and not isinstance(b, Expr):
        return a % b
    return binary("%", a, b)


def _power(a: Item, b: Item) -> Item:
    if isinstance(a, Expr) or isinstance(b, Expr):
        return binary("**", a, b)
    if abs(b) > LARGEST:
        raise NotOnHostError
    result = a**b
    if isinstance(result, complex):
        raise NotOnHostError
    return result


def _extreme(word: str) -> Callable[[Item, Item], Item]:
    def choose(a: Item, b: Item) -> Item:
        if not isinstance(a, Expr) and not isinstance(b, Expr):
            return max(a, b) if word == "max" else min(a, b)
        return a if a == b else call(word, a, b)

    return choose


def _compare(operator: str, test: Callable[[int | float, int | float], bool]) -> Callable[[Item, Item], Item]:
    def compare(a: Item, b: Item) -> Item:
        if not isinstance(a, Expr) and not isinstance(b, Expr):
            return test(a, b)
        if operator == "==":
            if a == b:
                return True
            if (_natural(a) and _negative(b)) or (_negative(a) and _natural(b)):
                return False
        return binary(operator, a, b)

    return compare


def _natural(item: Item) -> bool:
    return isinstance(item, Expr) and item.natural


def _negative(item: Item) -> bool:
    return not isinstance(item, Expr) and item < 0


def _both(a: Item, b: Item) -> Item:
    if isinstance(a, Expr) or isinstance(b, Expr):
        raise NotOnHostError
    return bool(a) and bool(b)


def _either(a: Item, b: Item) -> Item:
    if isinstance(a, Expr) or isinstance(b, Expr):
        raise NotOnHostError
    return bool(a) or bool(b)


BINARY: Final[dict[str, Callable[[Item, Item], Item]]] = {
    "Add": add,
    "Sub": subtract,
    "Mul": multiply,
    "Mod": _modulo,
    "Pow": _power,
    "Max": _extreme("max"),
    "Min": _extreme("min"),
    "Equal": _compare("==", lambda a, b: a == b),
    "Less": _compare("<", lambda a, b: a < b),
    "LessOrEqual": _compare("<=", lambda a, b: a <= b),
    "Greater": _compare(">", lambda a, b: a > b),
    "GreaterOrEqual": _compare(">=", lambda a, b: a >= b),
    "And": _both,
    "Or": _either,
}
COMPARISONS: Final = frozenset(["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "And", "Or", "Not"])


def elementwise(op: str, operands: Sequence[Host]) -> Host:
    """Apply an elementwise operation to hosts of one length, or of length one."""
    length = max(len(h.items) for h in operands)
    if any(len(h.items) not in (1, length) for h in operands) or 0 in (len(h.items) for h in operands):
        raise NotOnHostError
    columns = [h.broadcast(length) for h in operands]
    dtype = operands[0].dtype
    if op == "Div":
        items = [_divide(a, b, dtype) for a, b in zip(*columns, strict=True)]
    else:
        items = list(columns[0])
        for column in columns[1:]:
            items = [BINARY[op](a, b) for a, b in zip(items, column, strict=True)]
    result = ir.DataType.BOOL if op in COMPARISONS else dtype
    return Host(tuple(_settle(i, result) for i in items), result, any(h.vector for h in operands))


def where(test: Host, yes: Host, no: Host) -> Host:
    """Choose item by item."""
    length = max(len(test.items), len(yes.items), len(no.items))
    items: list[Item] = []
    for t, a, b in zip(test.broadcast(length), yes.broadcast(length), no.broadcast(length), strict=True):
        if isinstance(t, Expr):
            items.append(a if a == b else condition(t, a, b))
        else:
            items.append(a if t else b)
    return Host(tuple(items), yes.dtype, test.vector or yes.vector or no.vector)


def cast(value: Host, dtype: ir.DataType) -> Host:
    """Convert; a number that is not known keeps its expression, wrapped in ``float`` or ``int`` where it must."""
    if dtype not in KINDS:
        raise NotOnHostError
    items: list[Item] = []
    for item in value.items:
        if not isinstance(item, Expr):
            items.append(_cast(item, dtype))
        elif dtype is ir.DataType.BOOL or value.dtype is ir.DataType.BOOL:
            raise NotOnHostError
        elif (dtype in FLOATS) == (value.dtype in FLOATS):
            items.append(item)
        else:
            items.append(call("float" if dtype in FLOATS else "int", item))
    return Host(tuple(items), dtype, value.vector)


def map_items(op: str, value: Host) -> Host:
    """Neg, Abs, Sqrt, Floor, Ceil and Not."""
    return Host(tuple(_settle(_single(op, i), value.dtype) for i in value.items), value.dtype, value.vector)


def _single(op: str, item: Item) -> Item:
    if isinstance(item, Expr):
        if op == "Neg":
            return unary("-", item)
        if op == "Sqrt":
            return binary("**", item, 0.5)
        if op == "Abs" and item.natural:
            return item
        raise NotOnHostError
    if op == "Sqrt" and item < 0:
        raise NotOnHostError
    known_ops: dict[str, Callable[[float], float]] = {
        "Neg": lambda v: -v,
        "Abs": abs,
        "Sqrt": math.sqrt,
        "Floor": math.floor,
        "Ceil": math.ceil,
        "Not": lambda v: not v,
    }
    return known_ops[op](item)


def reduce(op: str, value: Host, keep: bool) -> Host:
    """ReduceProd, ReduceSum, ReduceMax and ReduceMin of a whole vector."""
    step = {"ReduceProd": "Mul", "ReduceSum": "Add", "ReduceMax": "Max", "ReduceMin": "Min"}[op]
    items = value.items or ((1,) if op == "ReduceProd" else (0,))
    total = items[0]
    for item in items[1:]:
        total = BINARY[step](total, item)
    return Host((total,), value.dtype, keep)


def _settle(item: Item, dtype: ir.DataType) -> Item:
    """Round a known number to the dtype that ONNX computes it in."""
    return item if isinstance(item, Expr) else _cast(item, dtype)
