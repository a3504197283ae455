"""Covariances of what enters each layer, streamed through onnxruntime."""

from collections.abc import Iterable, Mapping

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qtnc.calibrate.activations import activations
from qtnc.calibrate.data import DataSet
from qtnc.errors import DataError
from qtnc.ir.layers import Layer

BATCH = 8
"""Samples that run at a time: memory stays that of one batch."""


def covariances(model: ir.Model, layers: Iterable[Layer], data: DataSet) -> Mapping[str, NDArray[np.float64]]:
    """Run the data once and sum ``X^T X / rows`` of every layer's input.

    Returns
    -------
    For each layer name the covariance (M, M) in float64. Layers that read the same value share one array.

    Raises
    ------
    DataError
        If onnxruntime cannot run the data, or an activation overflows.
    """
    wanted = {str(layer.x.name): layer for layer in layers}
    sums = {name: np.zeros((layer.matrix_shape[0],) * 2) for name, layer in wanted.items()}
    rows = dict.fromkeys(sums, 0)
    for values in activations(model, list(wanted), data, BATCH):
        for name, value in zip(sums, values, strict=True):
            x = np.asarray(value, np.float64).reshape(-1, len(sums[name]))
            with np.errstate(over="ignore", invalid="ignore"):  # said below, by the layer's name
                sums[name] += x.T @ x
            rows[name] += len(x)
    for name, total in sums.items():
        if not np.isfinite(total).all():
            raise DataError(f"data `{data.name}`: the input of layer `{wanted[name].name}` is NaN or infinite")
        total /= max(1, rows[name])
    return {layer.name: sums[str(layer.x.name)] for layer in layers}
