"""Data that a spec names: arrays by graph input, rows in batches."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qtnc.calibrate.npz import opened
from qtnc.errors import DataError, Diagnostic, did_you_mean, printable
from qtnc.source import Span

Feed = dict[str, NDArray[np.generic]]


@dataclass(frozen=True, eq=False)
class DataSet:
    """Arrays named after graph inputs; the first axis of each counts samples.

    ``step`` is the number of samples that the model takes at a time, None where it takes any.
    """

    name: str
    arrays: Mapping[str, NDArray[np.generic]]
    step: int | None = None

    @property
    def samples(self) -> int:
        """Number of samples."""
        return min((len(a) for a in self.arrays.values()), default=0)

    def batches(self, size: int) -> Iterator[Feed]:
        """Feeds of at most ``size`` samples, in order; of just ``step`` where the model takes no other number."""
        count = self.step or size
        for start in range(0, self.samples, count):
            yield {name: array[start : start + count] for name, array in self.arrays.items()}


def load_npz(name: str, path: Path, take: int | None, model: ir.Model, span: Span | None = None) -> DataSet:
    """Read an ``.npz`` file for a model.

    Raises
    ------
    DataError
        If the file is missing or damaged, an input has no array, an array does not fit the input's type, rank or
        fixed sizes, or the samples do not fill the model's fixed batch. ``span`` is the place that the message shows.
    """

    def wrong(message: str, way_out: str | None = None) -> DataError:
        return DataError(Diagnostic(message, span=span, help=way_out, place=str(path)))

    if not path.is_file():
        raise wrong(f"data `{name}`: no file {path}", "write it with numpy.savez(path, <graph input>=array)")
    arrays: Feed = {}
    try:
        with opened(path) as archive:
            for value in model.graph.inputs:
                key = str(value.name)
                if key not in archive.names:
                    near = did_you_mean(key, archive.names) or f"it has {archive.listed}"
                    raise wrong(f"data `{name}`: no array for the graph input `{printable(key)}`", near)
                if fault := _misfit(value, *archive.claim(key)):
                    raise wrong(f"data `{name}`: array `{printable(key)}` {fault}")
                arrays[key] = _as_taken(archive.read(key), value)
    except DataError:
        raise
    except Exception as error:  # numpy, zipfile and zlib raise whatever the damage leads to
        reason = str(error)[:300] or type(error).__name__
        raise wrong(f"data `{name}`: {path} is not an .npz file of plain arrays: {reason}") from error
    for key, array in arrays.items():
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            raise wrong(f"data `{name}`: array `{printable(key)}` holds NaN or infinity")
    arrays = {key: array[:take] for key, array in arrays.items()}
    lengths = {len(a) for a in arrays.values()}
    if len(lengths) > 1 or lengths == {0}:
        raise wrong(
            f"data `{name}`: arrays hold {', '.join(map(str, sorted(lengths)))} samples; they must agree and be > 0"
        )
    data, step = DataSet(name, arrays), _batch(model)
    if step and data.samples % step:
        message = f"data `{name}`: {data.samples} samples, of which the model takes {step} at a time"
        raise wrong(message, f"use a multiple of {step}, or export the model with a dynamic batch")
    return DataSet(name, arrays, step)


def _batch(model: ir.Model) -> int | None:
    """Samples that the model takes at a time, where its first axes say so."""
    axes = (value.shape[0] for value in model.graph.inputs if value.shape is not None and len(value.shape))
    return next((axis for axis in axes if isinstance(axis, int)), None)


def _rounded(value: ir.Value, dtype: np.dtype[Any]) -> bool:
    """Whether floats are for an input of bfloat16, which npz files cannot hold."""
    return value.dtype == ir.DataType.BFLOAT16 and dtype == np.float32


def _as_taken(array: NDArray[np.generic], value: ir.Value) -> NDArray[np.generic]:
    return array.astype(ir.DataType.BFLOAT16.numpy()) if _rounded(value, array.dtype) else array


def _misfit(value: ir.Value, shape: tuple[int, ...], dtype: np.dtype[Any]) -> str | None:
    if value.dtype is not None and dtype != value.dtype.numpy() and not _rounded(value, dtype):
        return f"is {dtype}, the model takes {value.dtype.numpy()}"
    if not shape:
        return "is a single number; its first axis must count samples"
    if value.shape is None:
        return None
    if len(shape) != len(value.shape):
        return f"has {len(shape)} axes, the model's input has {len(value.shape)}"
    for axis, (have, want) in enumerate(zip(shape, value.shape, strict=True)):
        if axis and isinstance(want, int) and have != want:
            return f"has size {have} along axis {axis}, the model takes {want}"
    return None
