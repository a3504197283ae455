"""Covariances of what enters each layer, streamed through onnxruntime."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from math import prod

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qtnc.calibrate.activations import activations
from qtnc.calibrate.data import DataSet
from qtnc.errors import DataError
from qtnc.ir.form import Axes
from qtnc.ir.layers import Layer
from qtnc.tensor.mapped import zeros

Place = tuple[str, Axes, int, tuple[int, ...]]

BATCH = 8
"""Samples that run at a time: memory stays that of one batch."""


def covariances(
    model: ir.Model, layers: Iterable[Layer], data: DataSet, pool: Callable[[Layer], Hashable] = lambda layer: layer
) -> Mapping[str, NDArray[np.float64]]:
    """Run the data once and sum ``X^T X / rows`` of every layer's input.

    Parameters
    ----------
    pool : layers of which it is the same have one covariance, that of all their rows.

    Returns
    -------
    For each layer name the covariance (M, M) in float64, (S, M, M) where each matrix of a stack reads rows of its own.
    Layers that read the same value share one array.

    Raises
    ------
    DataError
        If onnxruntime cannot run the data, or an activation overflows.
    """
    found = list(layers)
    wanted = {_place(layer): layer for layer in found}
    sums: dict[Place, NDArray[np.float64]] = {}
    rows = dict.fromkeys(wanted, 0)
    names = list(dict.fromkeys(name for name, *_ in wanted))
    for values in activations(model, names, data, BATCH):
        by_name = dict(zip(names, values, strict=True))
        for place, layer in wanted.items():
            x = _by_matrix(layer.read(np.asarray(by_name[place[0]], np.float64)), layer.stack)
            with np.errstate(over="ignore", invalid="ignore"):  # said below, by the layer's name
                _add(sums, place, x.swapaxes(-1, -2) @ x)
            rows[place] += x.shape[-2]
    for place, total in sums.items():
        if not np.isfinite(total).all():
            raise DataError(f"data `{data.name}`: the input of layer `{wanted[place].name}` is NaN or infinite")
    pools: dict[Hashable, list[Place]] = {}
    for layer in found:
        pools.setdefault(pool(layer), []).append(_place(layer))
    means: dict[tuple[Place, ...], NDArray[np.float64]] = {}
    for places in sorted(map(tuple, pools.values()), key=len, reverse=True):  # those alone are divided in place
        if places not in means:
            total = sums[places[0]] if len(places) == 1 else sum((sums[p] for p in places[1:]), sums[places[0]].copy())
            means[places] = np.divide(total, max(1, sum(rows[place] for place in places)), out=total)
    return {layer.name: means[tuple(pools[pool(layer)])] for layer in found}


def _add(sums: dict[Place, NDArray[np.float64]], place: Place, found: NDArray[np.float64]) -> None:
    if place not in sums:
        sums[place] = zeros(found.shape)  # a model has more of them than fit in memory
    if sums[place].ndim < found.ndim:  # rows that all matrices had in common so far
        sums[place] = sums[place] + found
    else:
        sums[place] += found


def _place(layer: Layer) -> Place:
    """The value that a layer reads, its axes in order, how many of them are features, and which stack it meets."""
    axes = () if isinstance(layer.form, str) else layer.form.x
    return str(layer.x.name), axes, layer.weight_form.joined, layer.stack


def _by_matrix(x: NDArray[np.float64], stack: tuple[int, ...]) -> NDArray[np.float64]:
    """Rows (rows, M) that a matrix reads, or (S, rows, M) where each of a stack reads rows of its own."""
    met = x.shape[:-2][-len(stack) :] if stack else ()
    if prod(met) == 1:
        return x.reshape(-1, x.shape[-1])
    outer = max(0, x.ndim - 2 - len(stack))
    spread = np.broadcast_to(x, (*x.shape[:outer], *stack, *x.shape[-2:]))
    own = np.moveaxis(spread, range(outer), range(len(stack), len(stack) + outer))
    return own.reshape(prod(stack), -1, x.shape[-1])
