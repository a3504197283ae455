"""Whether a value is of the kind that a pattern wants, and what sizes its names stand for."""

from collections.abc import Mapping

import onnx_ir as ir

from qtnc.ir.dtypes import dtype_word
from qtnc.rules.found import Bound
from qtnc.rules.measures import is_const, is_tensor, type_word
from qtnc.rules.pattern import ANY, Axes, Kind


def misfit(kind: Kind, value: ir.Value, bound: Mapping[str, Bound]) -> str | dict[str, Bound]:
    """Why a value is not of a kind, as the rest of a sentence about it; else the sizes that become known by it."""
    if kind.const and not is_const(value):
        return "is no constant" if value.producer() is None else "is computed, and no constant"
    if not is_tensor(value) and kind not in (Kind(), Kind(const=True)):
        return f"is {type_word(value)}"
    if kind.dtypes is not None and (value.dtype is None or value.dtype.name.lower() not in kind.dtypes):
        return "has an element type that is unknown" if value.dtype is None else f"is {dtype_word(value.dtype)}"
    if kind.rank is not None:
        if value.shape is None:
            return "has a rank that is unknown"
        if len(value.shape) != kind.rank:
            return f"has {_axes(len(value.shape))}"
    if kind.size is not None and (reason := _counts(value, kind.size)):
        return reason
    return {} if kind.axes is None else _sizes(kind.axes, value, bound)


def _counts(value: ir.Value, size: int) -> str | None:
    if value.shape is None or not value.shape.is_static():
        return "has a size that is known at run time only"
    count = 1
    for axis in value.shape.numpy():
        count *= int(axis)
    return None if count == size else f"holds {count:,} elements"


def _sizes(axes: Axes, value: ir.Value, bound: Mapping[str, Bound]) -> str | dict[str, Bound]:
    if value.shape is None:
        return "has a rank that is unknown"
    have, want = list(value.shape), list(axes.sizes)
    if len(have) < len(want) or (axes.rest is None and len(have) > len(want)):
        return f"has {_axes(len(have))}"
    if axes.rest is not None:
        behind = len(want) - axes.rest
        have = have[: axes.rest] + (have[len(have) - behind :] if behind else [])
    found: dict[str, Bound] = {}
    for place, (size, wanted) in enumerate(zip(have, want, strict=True)):
        if wanted is None or wanted == ANY:
            continue
        if not isinstance(size, int):
            return f"has a size for `{wanted}` that is known at run time only"
        known = wanted if isinstance(wanted, int) else found.get(wanted, bound.get(wanted, size))
        if size != known:
            return f"has {size} where {wanted if isinstance(wanted, int) else f'`{wanted}` is {known}'} is wanted" + (
                f" (place {place})" if len(want) > 1 else ""
            )
        if isinstance(wanted, str):
            found[wanted] = size
    return found


def _axes(count: int) -> str:
    return "1 axis" if count == 1 else f"{count} axes"
