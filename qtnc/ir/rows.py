"""How many rows a product multiplies: all axes of its input but the features, symbolic ones by what the spec binds."""

from collections.abc import Mapping
from math import prod

import onnx_ir as ir

UNBOUND = 1
"""Size assumed for a symbolic axis that the spec does not bind."""


def rows_of(x: ir.Value, binds: Mapping[str, int], features: int = -1) -> int:
    """Rows of x: the product of all axes but that of the features; 1 where that is none."""
    if x.shape is None:
        return UNBOUND
    kept = features % len(x.shape) if len(x.shape) else None
    return prod(_size(axis, binds) for k, axis in enumerate(x.shape) if k != kept) or UNBOUND


def unbound(model: ir.Model, binds: Mapping[str, int]) -> tuple[str, ...]:
    """Symbolic axes of the model's inputs that ``binds`` does not name."""
    axes = (axis for value in model.graph.inputs if value.shape is not None for axis in value.shape)
    names = (axis.value for axis in axes if isinstance(axis, ir.SymbolicDim) and axis.value)
    return tuple(name for name in dict.fromkeys(names) if name not in binds)


def _size(axis: int | ir.SymbolicDim, binds: Mapping[str, int]) -> int:
    if isinstance(axis, int):
        return axis
    return binds.get(axis.value or "", UNBOUND)
