"""Inputs made up from a seed, for models verified without data."""

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qtnc.calibrate.data import DataSet
from qtnc.errors import DataError

SAMPLES = 4
"""Samples along a symbolic first axis."""

TRANSPARENT = frozenset({"Identity", "Cast", "Reshape", "Unsqueeze", "Squeeze", "Flatten", "Transpose"})
"""Operators that hand integers on as they are."""


def seeded_data(model: ir.Model, binds: Mapping[str, int], seed: int = 0) -> DataSet:
    """Standard normal floats, and integers in the range of the table that a Gather looks them up in.

    Raises
    ------
    DataError
        If the range of an integer input cannot be told from the graph, or a rank is unknown.
    """
    rng = np.random.default_rng(seed)
    return DataSet("seeded", {str(v.name): _array(v, binds, rng) for v in model.graph.inputs})


def _array(value: ir.Value, binds: Mapping[str, int], rng: np.random.Generator) -> NDArray[np.generic]:
    if value.shape is None or value.dtype is None:
        raise DataError(f"graph input `{value.name}` has no known shape: name data to verify on (verify ... on DATA)")
    sizes = [
        axis if isinstance(axis, int) else binds.get(axis.value or "", SAMPLES if k == 0 else 16)
        for k, axis in enumerate(value.shape)
    ]
    if sizes and not isinstance(value.shape[0], int):
        sizes[0] = max(sizes[0], SAMPLES)
    dtype = value.dtype.numpy()
    if value.dtype.is_floating_point():
        return rng.standard_normal(sizes).astype(dtype)
    if value.dtype == ir.DataType.BOOL:
        return np.ones(sizes, dtype)
    limit = _table_size(value)
    if limit is None:
        raise DataError(
            f"the range of the integer input `{value.name}` cannot be told from the graph: "
            "name data to verify on (verify ... on DATA)"
        )
    return rng.integers(0, limit, sizes).astype(dtype)


def _table_size(value: ir.Value) -> int | None:
    """Smallest table that any Gather looks the value up in; 2 for a mask that is only compared or multiplied."""
    sizes: list[int] = []
    pending, seen = [value], {value}
    while pending:
        current = pending.pop()
        for node, position in current.uses():
            if node.op_type == "Gather" and position == 1 and (table := node.inputs[0]) is not None:
                axis = node.attributes.get_int("axis", 0)
                length = table.shape[axis] if table.shape is not None else None
                sizes += [length] if isinstance(length, int) else []
            if node.op_type in TRANSPARENT and position == 0:
                fresh = [o for o in node.outputs if o not in seen]
                seen.update(fresh)
                pending += fresh
    return min(sizes, default=None)
