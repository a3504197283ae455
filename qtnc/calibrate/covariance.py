"""Covariances of what enters each layer, streamed through onnxruntime."""

from collections.abc import Iterable, Mapping

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qtnc.calibrate.data import DataSet
from qtnc.calibrate.session import session_of
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
    session = session_of(_with_outputs(model, list(wanted)))
    for feed in data.batches(BATCH):
        try:
            values = session.run(list(sums), feed)
        except Exception as error:  # onnxruntime's errors share no base class
            raise DataError(f"data `{data.name}` does not run through the model: {str(error)[:300]}") from error
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


def _with_outputs(model: ir.Model, names: list[str]) -> ir.Model:
    """A copy of the model whose outputs are the named values."""
    copy = model.clone()
    values = {str(v.name): v for node in copy.graph for v in node.outputs} | {str(v.name): v for v in copy.graph.inputs}
    copy.graph.outputs.clear()
    copy.graph.outputs.extend(values[name] for name in names)
    return copy
