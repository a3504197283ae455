"""Models run by onnxruntime, the judge of everything we emit."""

from pathlib import Path

import onnx_ir as ir
import onnxruntime

from qtnc.ir.initializers import in_memory


def options(threads: int = 0) -> onnxruntime.SessionOptions:
    """Session options: nothing on the log, for errors are raised; ``threads`` 0 leaves the choice to onnxruntime."""
    found = onnxruntime.SessionOptions()
    found.log_severity_level = 4
    if threads:
        found.intra_op_num_threads = threads
        found.inter_op_num_threads = threads
    return found


def session_of(model: ir.Model) -> onnxruntime.InferenceSession:
    """Session for a model in memory."""
    serialised = ir.to_proto(in_memory(model)).SerializeToString()
    return onnxruntime.InferenceSession(serialised, options(), providers=["CPUExecutionProvider"])


def session_at(path: Path, threads: int = 0) -> onnxruntime.InferenceSession:
    """Session for a model on disk, external data beside it."""
    return onnxruntime.InferenceSession(str(path), options(threads), providers=["CPUExecutionProvider"])
