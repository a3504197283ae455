"""How many rows a product multiplies: all axes of its input but the features, symbolic ones by what the spec binds."""

from collections.abc import Mapping, Sequence
from math import prod

import onnx_ir as ir

from qtnc.tensor.network import spread

UNBOUND = 1
"""Size assumed for a symbolic axis that the spec does not bind."""


def rows_of(x: ir.Value, binds: Mapping[str, int], stack: Sequence[int] = ()) -> int:
    """Rows of x (..., M), over all matrices of a stack that it meets; 1 where that is none."""
    return 1 if x.shape is None else count_rows(x.shape[:-1], binds, stack)


def count_rows(leading: Sequence[int | ir.SymbolicDim], binds: Mapping[str, int], stack: Sequence[int] = ()) -> int:
    """Rows by the axes before the features; see :func:`rows_of`."""
    return prod(_size(axis, binds) for axis in spread(leading, stack)) or UNBOUND


def unbound(model: ir.Model, binds: Mapping[str, int]) -> tuple[str, ...]:
    """Symbolic axes of the model's inputs that ``binds`` does not name."""
    axes = (axis for value in model.graph.inputs if value.shape is not None for axis in value.shape)
    names = (axis.value for axis in axes if isinstance(axis, ir.SymbolicDim) and axis.value)
    return tuple(name for name in dict.fromkeys(names) if name not in binds)


def _size(axis: int | ir.SymbolicDim, binds: Mapping[str, int]) -> int:
    if isinstance(axis, int):
        return axis
    return binds.get(axis.value or "", UNBOUND)
