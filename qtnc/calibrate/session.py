"""Models run by onnxruntime, the judge of everything we emit."""

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from threading import Timer

import numpy as np
import onnx_ir as ir
import onnxruntime
from numpy.typing import NDArray

from qtnc.errors import DataError, Diagnostic, printable
from qtnc.ir.initializers import in_memory
from qtnc.tensor.memory import available, size

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
    timer = Timer(LONGEST, setattr, (given, "terminate", True))
    timer.daemon = True
    timer.start()
    try:
        return [np.asarray(found) for found in session.run(list(names), dict(feed), given)]
    finally:
        timer.cancel()


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


def session_of(model: ir.Model) -> onnxruntime.InferenceSession:
    """Session for a model in memory."""
    serialised = ir.to_proto(in_memory(model)).SerializeToString()
    return onnxruntime.InferenceSession(serialised, options(), providers=["CPUExecutionProvider"])


def session_at(path: Path, threads: int = 0) -> onnxruntime.InferenceSession:
    """Session for a model on disk, external data beside it."""
    return onnxruntime.InferenceSession(str(path), options(threads), providers=["CPUExecutionProvider"])
