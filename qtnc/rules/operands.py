"""Numbers that a new node reads or carries, in the types that its operator wants."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from qtnc.ir.dtypes import dtype_word
from qtnc.rules.found import decline

Operand = ir.Value | NDArray[Any] | float | int | Sequence[int] | None
"""What a new node may read: a value, a constant, or numbers, which take the element type that the operator wants."""

Schema = onnx.defs.OpSchema


def wanted_type(k: int, inputs: Sequence[Operand], schema: Schema | None) -> ir.DataType:
    """The element type that an operator wants of numbers that are its input ``k``: its own, or that of its fellows."""
    usual = [ir.DataType.INT64 if _is_whole(inputs[k]) else ir.DataType.FLOAT, ir.DataType.INT64]
    places = list(schema.inputs) if schema else []
    if not places:
        return next(iter(_types(inputs)), usual[0])

    def place(j: int) -> str:
        return places[min(j, len(places) - 1)].type_str

    if place(k).startswith("tensor("):
        return _type(place(k))
    fellows = _types([operand for j, operand in enumerate(inputs) if place(j) == place(k)])
    allowed = [_type(text) for text in sorted(places[min(k, len(places) - 1)].types)]
    return next(iter(fellows), next((t for t in usual if t in allowed), allowed[0]))


def in_type(numbers: float | Sequence[int], dtype: ir.DataType) -> NDArray[Any]:
    """Numbers as an array; declines where whole numbers are wanted and these are none."""
    try:
        wanted = np.asarray(numbers)
        array = wanted.astype(dtype.numpy())
    except (ArithmeticError, ValueError, TypeError) as error:
        decline(f"{str(numbers)[:60]} is not of {dtype_word(dtype)}: {str(error)[:100]}")
    if _is_whole(array) and not np.array_equal(array, wanted):
        decline(f"{numbers!r} is not of {dtype_word(dtype)}")
    return array


def fitted(array: NDArray[Any], k: int, inputs: Sequence[Operand], schema: Schema | None) -> NDArray[Any]:
    """Computed floats in the type of the values that they are read with, where the operator wants one for all."""
    wanted = wanted_type(k, inputs, schema)
    mine = ir.DataType.from_numpy(array.dtype)
    both = schema is not None and wanted.is_floating_point() and mine.is_floating_point()
    return array.astype(wanted.numpy()) if both and wanted != mine else array


def attribute_for(name: str, value: Any, schema: Schema | None) -> ir.Attr:
    """An attribute of the type that its operator gives it."""
    kind = schema.attributes[name].type if schema and name in schema.attributes else None
    types, items = Schema.AttrType, isinstance(value, list | tuple)
    if isinstance(value, ir.DataType):
        value = int(value)
    if isinstance(value, np.ndarray):
        return ir.AttrTensor(name, ir.Tensor(value))
    if kind in (types.FLOAT, types.FLOATS):
        value = [_real(name, v) for v in value] if items else _real(name, value)
    elif kind in (types.INT, types.INTS):
        value = [_whole(name, v) for v in value] if items else _whole(name, value)
    elif items:
        value = list(value)
    if kind in (types.INTS, types.FLOATS) and not items:
        value = [value]
    try:
        made = ir.convenience.convert_attribute(name, value)
        ir.to_proto(made)
    except (ArithmeticError, ValueError, TypeError, ir.serde.SerdeError) as error:
        decline(f"`{name}` cannot hold {str(value)[:60]}: {str(error)[:100]}")
    return made


def _real(name: str, value: Any) -> float:
    try:
        return float(value)
    except (OverflowError, ValueError, TypeError):
        decline(f"`{name}` is a number, and not {str(value)[:60]}")


def _whole(name: str, value: Any) -> int:
    is_whole = not isinstance(value, str) and math.isfinite(value) and int(value) == value
    if not is_whole or not -(2**63) <= int(value) < 2**63:
        decline(f"`{name}` is a whole number of 64 bits, and not {str(value)[:60]}")
    return int(value)


def _types(operands: Sequence[Operand]) -> list[ir.DataType]:
    """Element types of values and constants among them, values first."""
    values = [o.dtype for o in operands if isinstance(o, ir.Value) and o.dtype is not None]
    return values + [ir.DataType.from_numpy(o.dtype) for o in operands if isinstance(o, np.ndarray)]


def _type(text: str) -> ir.DataType:
    """``tensor(float)`` as an element type."""
    return ir.DataType[text.removeprefix("tensor(").removesuffix(")").upper()]


def _is_whole(numbers: Any) -> bool:
    return bool(np.issubdtype(np.asarray(numbers).dtype, np.integer))
