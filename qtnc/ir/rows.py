"""How many rows a product multiplies: the leading axes of its input, symbolic ones by what the spec binds."""

from collections.abc import Mapping
from math import prod

import onnx_ir as ir

UNBOUND = 1
"""Size assumed for a symbolic axis that the spec does not bind."""


def rows_of(x: ir.Value, binds: Mapping[str, int]) -> int:
    """Rows of x, of shape (..., features): the product of the leading axes; 1 where that is none."""
    if x.shape is None:
        return UNBOUND
    return prod(_size(axis, binds) for axis in x.shape[:-1]) or UNBOUND


def unbound(model: ir.Model, binds: Mapping[str, int]) -> tuple[str, ...]:
    """Symbolic axes of the model's inputs that ``binds`` does not name."""
    axes = (axis for value in model.graph.inputs if value.shape is not None for axis in value.shape)
    names = (axis.value for axis in axes if isinstance(axis, ir.SymbolicDim) and axis.value)
    return tuple(name for name in dict.fromkeys(names) if name not in binds)


def _size(axis: int | ir.SymbolicDim, binds: Mapping[str, int]) -> int:
    if isinstance(axis, int):
        return axis
    return binds.get(axis.value or "", UNBOUND)
