"""When constants and attributes count as equal."""

from math import isfinite
from typing import Any, Final

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qtnc.rules.measures import is_const

CLOSE: Final = 1e-6
"""Relative difference within which a constant is the number of a pattern; exporters round in 32 bits."""

LARGEST: Final = 20_000
"""Elements up to which two constants are compared."""


def is_same(a: ir.Value, b: ir.Value) -> bool:
    """Whether two constants hold the same, judged of small ones only."""
    if a is b:
        return True
    if not (is_const(a) and is_const(b)) or a.const_value is None or b.const_value is None:
        return False
    same = a.dtype == b.dtype and a.const_value.shape == b.const_value.shape and a.const_value.size <= LARGEST
    return same and bool(np.array_equal(a.const_value.numpy(), b.const_value.numpy()))


def holds(wanted: float | tuple[float, ...], value: ir.Value) -> bool:
    """Whether a constant holds a number everywhere, or exactly these."""
    tensor = value.const_value
    if tensor is None or tensor.dtype == ir.DataType.STRING or tensor.size == 0:
        return isinstance(wanted, tuple) and not wanted and tensor is not None and tensor.size == 0
    if isinstance(wanted, tuple) and tuple(tensor.shape) != (len(wanted),):
        return False
    array = np.asarray(tensor.numpy())
    if np.issubdtype(array.dtype, np.complexfloating):
        return False
    first = wanted[0] if isinstance(wanted, tuple) else wanted
    if not _is_number(array.flat[0], first):
        return False  # most do not hold it, and are seen not to without a look at the rest
    return array.size == 1 or _hold(np.asarray(wanted, np.float64), array)


def _is_number(found: np.generic, wanted: float) -> bool:
    number = found.item()
    if isinstance(number, int):
        return bool(number == wanted)
    with np.errstate(over="ignore"):
        exact = float(np.float64(wanted).astype(found.dtype))
    return bool(number == exact or (isfinite(wanted) and abs(number - wanted) <= CLOSE * abs(wanted)))


def _hold(target: NDArray[np.float64], array: NDArray[Any]) -> bool:
    found = np.asarray(array, np.float64)
    if np.issubdtype(array.dtype, np.integer) or array.dtype == np.bool_:
        return bool(np.all(found == target))
    with np.errstate(over="ignore", invalid="ignore"):
        exact = np.asarray(target.astype(array.dtype), np.float64)
        return bool(np.all((found == exact) | np.isclose(found, target, rtol=CLOSE, atol=0)))


def equal(found: Any, wanted: Any) -> bool:
    """Whether an attribute is what is wanted; numbers compare as numbers."""
    if isinstance(found, tuple) or isinstance(wanted, tuple):
        both = isinstance(found, tuple) and isinstance(wanted, tuple) and len(found) == len(wanted)
        return both and all(map(equal, found, wanted))
    if isinstance(found, int | float) and isinstance(wanted, int | float):
        return bool(np.isclose(float(found), float(wanted), rtol=CLOSE, atol=0))
    return bool(found is not None and type(found) is type(wanted) and found == wanted)


def sample_of(value: ir.Value) -> str:
    """The first numbers of a constant, for a message."""
    assert value.const_value is not None  # noqa: S101 - a constant
    array = np.asarray(value.const_value.numpy()).reshape(-1)
    shown = ", ".join(f"{number:.6g}" if isinstance(number, float) else str(number) for number in array[:4].tolist())
    return f"{shown}, ..." if array.size > 4 else shown or "nothing"
