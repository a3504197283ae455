"""Inputs made up from a seed, for models verified without data."""

from collections.abc import Iterator, Mapping
from math import prod
from types import MappingProxyType
from typing import Final

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qtnc.calibrate.data import Feed
from qtnc.errors import DataError, printable
from qtnc.ir.decoder import Decoder, decoder_of, symbol
from qtnc.tensor.memory import available, size
from qtnc.verify.lengths import LENGTH, SAMPLES, sizes_of

TRANSPARENT = frozenset({"Identity", "Cast", "Reshape", "Unsqueeze", "Squeeze", "Flatten", "Transpose", "Expand"})
"""Operators that hand integers on as they are."""

COMPARISONS = frozenset({"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"})

BYTES = frozenset({ir.DataType.UINT8, ir.DataType.INT8})
"""Types so small that every number of theirs is meant, as in images."""

NO_LIMITS: Final[Mapping[str, int]] = MappingProxyType({})

WAY_OUT = "name data to verify on (verify ... on DATA)"


def seeded_feed(
    model: ir.Model,
    binds: Mapping[str, int],
    seed: int = 0,
    samples: int = SAMPLES,
    limits: Mapping[str, int] = NO_LIMITS,
) -> Feed:
    """Standard normal floats, integers in the range of the table that a Gather looks them up in, masks of 0 and 1.

    A symbolic first axis counts ``samples``, or what is bound where that is more. Integers of an input named in
    ``limits`` are below that.

    Raises
    ------
    DataError
        If the range of an integer input cannot be told from the graph, or a rank is unknown.
    """
    rng = np.random.default_rng(seed)
    sizes = sizes_of(model, binds, samples)
    decoder = decoder_of(model)
    feed = {}
    for value in model.graph.inputs:
        if value.is_initializer():
            continue
        counted = decoder is not None and value is decoder.positions and _table_size(value) is None
        feed[str(value.name)] = _positions(value, decoder, sizes) if counted else _array(value, sizes, rng, limits)
    return feed


def _positions(value: ir.Value, decoder: Decoder | None, sizes: Mapping[str, int]) -> NDArray[np.generic]:
    """Places of ids that follow a past."""
    shape = _shape(value, sizes)
    past = symbol(next(iter(decoder.cache), None), decoder.past_axis) if decoder is not None else None
    counted = np.arange(shape[-1]) + sizes.get(past or "", 0)
    return np.broadcast_to(counted, shape).astype(value.dtype.numpy() if value.dtype else np.int64)


def _shape(value: ir.Value, sizes: Mapping[str, int]) -> list[int]:
    if value.shape is None or value.dtype is None:
        raise DataError(f"graph input `{printable(str(value.name))}` has no known shape: {WAY_OUT}")
    shape = [
        axis if isinstance(axis, int) else sizes.get(axis.value or "", SAMPLES if k == 0 else LENGTH)
        for k, axis in enumerate(value.shape)
    ]
    if (needed := 8 * prod(shape)) > (have := available()):  # numbers are drawn in 64 bits
        name = printable(str(value.name))
        raise DataError(f"graph input `{name}` takes {size(needed)}; {size(have)} of memory are available: {WAY_OUT}")
    return shape


def _array(
    value: ir.Value, sizes: Mapping[str, int], rng: np.random.Generator, limits: Mapping[str, int]
) -> NDArray[np.generic]:
    shape = _shape(value, sizes)
    assert value.dtype is not None  # noqa: S101 - known where the shape is
    dtype = value.dtype.numpy()
    if value.dtype.is_floating_point():
        return np.asarray(rng.standard_normal(shape)).astype(dtype)
    if (limit := limits.get(str(value.name), _table_size(value))) is not None:
        return np.asarray(rng.integers(0, limit, shape)).astype(dtype)
    if value.dtype == ir.DataType.BOOL or _is_mask(value):
        return _mask(shape, rng).astype(dtype)
    if value.dtype in BYTES:
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        return np.asarray(rng.integers(low, high, shape, endpoint=True)).astype(dtype)
    name = printable(str(value.name))
    raise DataError(f"the range of the integer input `{name}` cannot be told from the graph: {WAY_OUT}")


def _mask(shape: list[int], rng: np.random.Generator) -> NDArray[np.generic]:
    """Zeros and ones, a one in front: a softmax over nothing is NaN. Flags are all set."""
    if len(shape) < 2:
        return np.ones(shape, np.int64)
    found = rng.integers(0, 2, shape)
    found[..., 0] = 1
    return found


def _table_size(value: ir.Value) -> int | None:
    """Smallest table that any Gather looks the value up in; None where there is none of known size."""
    found: list[int] = []
    for node, position, _ in _reads(value):
        if node.op_type == "Gather" and position == 1 and (table := node.inputs[0]) is not None:
            axis = node.attributes.get_int("axis", 0)
            length = table.shape[axis] if table.shape is not None and axis < len(table.shape) else None
            found += [length] if isinstance(length, int) and length else []
    return min(found, default=None)


def _is_mask(value: ir.Value) -> bool:
    """Whether the graph reads the value as yes and no: made boolean, compared with 0 or 1, or taken from 1."""
    return any(_asks_yes_or_no(node, position) for node, position, _ in _reads(value))


def _asks_yes_or_no(node: ir.Node, position: int) -> bool:
    if node.op_type == "Cast":
        return node.attributes["to"].as_int() == ir.DataType.BOOL
    other = _number(node.inputs[1 - position]) if len(node.inputs) == 2 else None
    if node.op_type == "Sub":
        return position == 1 and other == 1
    return node.op_type in COMPARISONS and other in (0, 1)


def _reads(value: ir.Value) -> Iterator[tuple[ir.Node, int, ir.Value]]:
    """Nodes that read a value, directly or handed on."""
    pending, seen = [value], {value}
    while pending:
        current = pending.pop()
        for node, position in current.uses():
            yield node, position, current
            if node.op_type in TRANSPARENT and position == 0:
                fresh = [output for output in node.outputs if output not in seen]
                seen.update(fresh)
                pending += fresh


def _number(value: ir.Value | None) -> float | None:
    """The one number that a constant holds, as an initialiser or from a Constant node."""
    tensor = ir.convenience.get_const_tensor(value) if value is not None else None
    return float(tensor.numpy().reshape(())) if tensor is not None and tensor.size == 1 else None
