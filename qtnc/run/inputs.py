"""The rows that enter circuit layers, from an ``.npz`` file: given as they are, or computed by the original model."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qtnc.calibrate.activations import activations
from qtnc.calibrate.data import load_npz
from qtnc.calibrate.npz import MOST_NAMED, opened
from qtnc.errors import DataError, Diagnostic, did_you_mean, printable
from qtnc.ir.circuit_layer import CircuitLayer
from qtnc.ir.layers import find_layers

ANY: Final = "x"
"""Name of an array that is for the one layer that runs, whatever it is called."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows (rows, M) of one layer, and where they come from."""

    x: NDArray[np.float64]
    source: str


def read_rows(path: Path, layers: Sequence[CircuitLayer], model: ir.Model | None, take: int) -> Mapping[str, Rows]:
    """Rows of each layer by its name, the first ``take`` of them.

    The file holds an array named after each layer; or one for each graph input of the original model, which then is
    run up to the layer; or, for one layer, an array ``x``. They are looked for in this order.

    Raises
    ------
    DataError
        If the file is missing, damaged or holds none of these, or an array does not fit or holds NaN or infinity.
    """
    names, arrays = _read(path, {ANY, *(layer.name for layer in layers)})
    if any(layer.name in names for layer in layers):
        missing = [layer.name for layer in layers if layer.name not in names]
        if missing:
            near = "add it, or name the layer to run"
            raise _wrong(path, f"no array for layer `{printable(missing[0])}`", near)
        return {layer.name: _given(path, arrays[layer.name], layer.name, layer, take) for layer in layers}
    if model is not None and all(str(value.name) in names for value in model.graph.inputs):
        return _computed(path, layers, model, take)
    if ANY in names and len(layers) == 1:
        return {layers[0].name: _given(path, arrays[ANY], ANY, layers[0], take)}
    raise _wrong(path, *_unnamed(names, layers, model))


def _computed(path: Path, layers: Sequence[CircuitLayer], model: ir.Model, take: int) -> Mapping[str, Rows]:
    """Run the original model, sample by sample, until each layer has rows enough."""
    data = load_npz("input", path, None, model)
    known = {layer.name: layer for layer in find_layers(model)}
    for layer in layers:
        if layer.name not in known:
            near = did_you_mean(layer.name, known) or "is this the model that was compiled?"
            raise _wrong(path, f"the model has no layer `{printable(layer.name)}`", near)
        if known[layer.name].nested:
            reason = f"layer `{printable(layer.name)}` is in the body of another node, whose values are not at hand"
            raise _wrong(path, reason, f"give its rows: name an array `{printable(layer.name)}`")
    names = list(dict.fromkeys(str(known[layer.name].x.name) for layer in layers))
    found: dict[str, list[NDArray[np.generic]]] = {layer.name: [] for layer in layers}
    for values in activations(model, names, data, 1):
        by_name = dict(zip(names, values, strict=True))
        for layer in layers:
            name, width = str(known[layer.name].x.name), layer.features[0]
            value = known[layer.name].read(by_name[name])
            if value.shape[-1:] != (width,):
                raise _wrong(path, f"`{printable(name)}` of the model is {value.shape}, not (..., {width})")
            found[layer.name] += list(value.reshape(-1, width)[:take])
        if all(len(rows) >= take for rows in found.values()):
            break
    source = "graph inputs, through the original model"
    return {name: Rows(_checked(path, np.array(rows[:take]), name), source) for name, rows in found.items()}


def _given(path: Path, array: NDArray[np.generic], key: str, layer: CircuitLayer, take: int) -> Rows:
    m = layer.features[0]
    if array.ndim != 2 or array.shape[1] != m:
        reason = f"array `{printable(key)}` is {array.shape}; layer `{printable(layer.name)}` takes (rows, {m})"
        raise _wrong(path, reason)
    return Rows(_checked(path, array[:take], key), f"array `{printable(key)}`")


def _checked(path: Path, x: NDArray[np.generic], key: str) -> NDArray[np.float64]:
    name = printable(key)
    if len(x) == 0:
        raise _wrong(path, f"`{name}` has no rows")
    if x.dtype.kind not in "fiu":
        raise _wrong(path, f"`{name}` is {x.dtype}; rows are real numbers")
    rows = x.astype(np.float64)
    if not np.isfinite(rows).all():
        raise _wrong(path, f"`{name}` holds NaN or infinity")
    return rows


def _read(path: Path, wanted: Container[str]) -> tuple[Sequence[str], Mapping[str, NDArray[np.generic]]]:
    """Names of all arrays, and those that are wanted."""
    if not path.is_file():
        raise _wrong(path, "no such file", "write it with numpy.savez(path, x=array)")
    try:
        with opened(path) as archive:
            return archive.names, {key: archive.read(key) for key in archive.names if key in wanted}
    except Exception as error:  # numpy, zipfile and zlib raise whatever the damage leads to
        reason = str(error)[:300] or type(error).__name__
        raise _wrong(path, f"not an .npz file of plain arrays: {reason}") from error


def _unnamed(names: Sequence[str], layers: Sequence[CircuitLayer], model: ir.Model | None) -> tuple[str, str]:
    """What is wrong with a file none of whose arrays is looked for, and what it could hold."""
    holds = ", ".join(f"`{printable(key)}`" for key in names[:MOST_NAMED]) or "nothing"
    if ANY in names:
        reason = f"array `{ANY}` is for one layer, and {len(layers)} are to run"
    else:
        reason = f"no rows for layer `{printable(layers[0].name)}` in a file that holds {holds}"
    ways = [f"name an array `{ANY if len(layers) == 1 else printable(layers[0].name)}`"]
    if len(layers) > 1 and ANY in names:
        ways = ["name the layer to run", "name an array after each layer"]
    if model is not None:
        ways.append("give the graph inputs " + ", ".join(f"`{printable(str(v.name))}`" for v in model.graph.inputs))
    else:
        ways.append("name the original model, and give its graph inputs")
    return reason, ", or ".join(ways)


def _wrong(path: Path, message: str, way_out: str | None = None) -> DataError:
    return DataError(Diagnostic(message, place=str(path), help=way_out))
