"""Covariances of what enters each layer, streamed through onnxruntime."""

import mmap
from collections.abc import Callable, Hashable, Iterable, Mapping
from tempfile import TemporaryFile

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qtnc.calibrate.activations import activations
from qtnc.calibrate.data import DataSet
from qtnc.errors import DataError
from qtnc.ir.layers import Layer

Place = tuple[str, int]

MAPPED = 1 << 23
"""Bytes from which a covariance is mapped from a file: the system may write it out."""

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
    For each layer name the covariance (M, M) in float64. Layers that read the same value share one array.

    Raises
    ------
    DataError
        If onnxruntime cannot run the data, or an activation overflows.
    """
    found = list(layers)
    wanted = {_place(layer): layer for layer in found}
    sums = {place: _square(layer.matrix_shape[0]) for place, layer in wanted.items()}
    rows = dict.fromkeys(sums, 0)
    names = list(dict.fromkeys(name for name, _ in sums))
    for values in activations(model, names, data, BATCH):
        by_name = dict(zip(names, values, strict=True))
        for (name, axis), total in sums.items():
            x = np.moveaxis(np.asarray(by_name[name], np.float64), axis, -1).reshape(-1, len(total))
            with np.errstate(over="ignore", invalid="ignore"):  # said below, by the layer's name
                total += x.T @ x
            rows[name, axis] += len(x)
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


def _square(size: int) -> NDArray[np.float64]:
    """Zeros (size, size); large ones in a file without a name, for a model has more of them than fit in memory."""
    needed = 8 * size * size
    if needed < MAPPED:
        return np.zeros((size, size))
    with TemporaryFile() as file:
        file.truncate(needed)
        mapped = mmap.mmap(file.fileno(), needed)
    return np.frombuffer(mapped).reshape(size, size)


def _place(layer: Layer) -> Place:
    """The value that a layer reads, and along which axis its features lie."""
    return str(layer.x.name), layer.features
