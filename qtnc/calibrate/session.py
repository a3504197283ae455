"""Models run by onnxruntime, the judge of everything we emit; models of bfloat16 are judged in 32 bits."""

from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as MissingKernel

from qtnc.calibrate.data import Feed
from qtnc.ir.initializers import in_memory
from qtnc.ir.widening import is_narrow, widened

BFLOAT16 = ir.DataType.BFLOAT16.numpy()


def options(threads: int = 0) -> onnxruntime.SessionOptions:
    """Session options: errors only on the log; ``threads`` 0 leaves the choice to onnxruntime."""
    found = onnxruntime.SessionOptions()
    found.log_severity_level = 3
    if threads:
        found.intra_op_num_threads = threads
        found.inter_op_num_threads = threads
    return found


def session_of(model: ir.Model, threads: int = 0) -> onnxruntime.InferenceSession:
    """Session for a model in memory."""
    judged = widened(model) if is_narrow(model) else model
    serialised = ir.to_proto(in_memory(judged)).SerializeToString()
    return onnxruntime.InferenceSession(serialised, options(threads), providers=["CPUExecutionProvider"])


def session_at(path: Path, threads: int = 0) -> onnxruntime.InferenceSession:
    """Session for a model on disk, external data beside it."""
    try:
        found = onnxruntime.InferenceSession(str(path), options(threads), providers=["CPUExecutionProvider"])
    except MissingKernel:
        return session_of(ir.load(path), threads)
    narrow = any("bfloat16" in value.type for value in (*found.get_inputs(), *found.get_outputs()))
    return session_of(ir.load(path), threads) if narrow else found


def as_judged(feed: Feed) -> Feed:
    """What a session takes for a feed of the model: bfloat16 in 32 bits."""
    return {name: array.astype(np.float32) if array.dtype == BFLOAT16 else array for name, array in feed.items()}
