"""Models run by onnxruntime, the judge of everything we emit; models of bfloat16 are judged in 32 bits."""

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as MissingKernel

from qtnc.calibrate.data import Feed
from qtnc.calibrate.watchdog import WATCHDOG
from qtnc.errors import DataError, Diagnostic, printable
from qtnc.ir.initializers import in_memory
from qtnc.ir.widening import is_narrow, widened
from qtnc.tensor.memory import available, size

BFLOAT16 = ir.DataType.BFLOAT16.numpy()

LONGEST = 3600.0
"""Seconds that one run may take."""


def options(threads: int = 0) -> onnxruntime.SessionOptions:
    """Session options: nothing on the log, for errors are raised; ``threads`` 0 leaves the choice to onnxruntime."""
    found = onnxruntime.SessionOptions()
    found.log_severity_level = 4
    if threads:
        found.intra_op_num_threads = threads
        found.inter_op_num_threads = threads
    return found


def session_of(model: ir.Model, threads: int = 0) -> onnxruntime.InferenceSession:
    """Session for a model in memory; weights that lie in files beside the original are mapped from there."""
    wanted, model = options(threads), widened(model) if is_narrow(model) else model
    folders = {str(tensor.base_dir) for tensor in _outside(model)}
    if len(folders) == 1:
        wanted.add_session_config_entry("session.model_external_initializers_file_folder_path", *folders)
        wanted.add_session_config_entry("session.disable_prepacking", "1")  # packing copies every weight
    elif folders:
        model = in_memory(model)
    return onnxruntime.InferenceSession(
        ir.to_proto(model).SerializeToString(), wanted, providers=["CPUExecutionProvider"]
    )


def _outside(model: ir.Model) -> Iterator[ir.ExternalTensor]:
    """Weights that lie in files."""
    tensors = (value.const_value for graph in model.graphs() for value in graph.initializers.values())
    return (tensor for tensor in tensors if isinstance(tensor, ir.ExternalTensor))


def run(
    session: onnxruntime.InferenceSession, names: Sequence[str], feed: Mapping[str, NDArray[np.generic]]
) -> list[NDArray[np.generic]]:
    """Run one feed, and give up after :data:`LONGEST` seconds: a loop in a model file may have any number of turns.

    Raises
    ------
    Exception
        Whatever onnxruntime raises; its errors share no base class.
    """
    given = onnxruntime.RunOptions()
    given.log_severity_level = 4
    with WATCHDOG.over(given, LONGEST):
        return [np.asarray(found) for found in session.run(list(names), as_judged(feed), given)]


def check_fits(model: ir.Model, place: str | None = None) -> None:
    """Refuse a model one value of which takes more memory than is available: onnxruntime would begin with it.

    Raises
    ------
    DataError
        Naming the value.
    """
    have = available()
    for graph in model.graphs():
        for value in (output for node in graph for output in node.outputs):
            if value.shape is None or value.dtype is None or not value.shape.is_static():
                continue
            needed = prod(map(int, value.shape.numpy())) * value.dtype.bitwidth // 8
            if needed > have:
                shown = f"`{printable(str(value.name))}` takes {size(needed)}; {size(have)} of memory are available"
                raise DataError(Diagnostic(f"the model does not run here: {shown}", place=place))


def session_at(path: Path, threads: int = 0) -> onnxruntime.InferenceSession:
    """Session for a model on disk, external data beside it."""
    try:
        found = onnxruntime.InferenceSession(str(path), options(threads), providers=["CPUExecutionProvider"])
    except MissingKernel:
        return session_of(ir.load(path), threads)
    narrow = any("bfloat16" in value.type for value in (*found.get_inputs(), *found.get_outputs()))
    return session_of(ir.load(path), threads) if narrow else found


def as_judged(feed: Mapping[str, NDArray[np.generic]]) -> Feed:
    """What a session takes for a feed of the model: bfloat16 in 32 bits."""
    return {name: array.astype(np.float32) if array.dtype == BFLOAT16 else array for name, array in feed.items()}
