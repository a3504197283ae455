"""Models run by onnxruntime, the judge of everything we emit."""

from collections.abc import Iterator
from pathlib import Path

import onnx_ir as ir
import onnxruntime

from qtnc.ir.initializers import in_memory


def options(threads: int = 0) -> onnxruntime.SessionOptions:
    """Session options: errors only on the log; ``threads`` 0 leaves the choice to onnxruntime."""
    found = onnxruntime.SessionOptions()
    found.log_severity_level = 3
    if threads:
        found.intra_op_num_threads = threads
        found.inter_op_num_threads = threads
    return found


def session_of(model: ir.Model, threads: int = 0) -> onnxruntime.InferenceSession:
    """Session for a model in memory; weights that lie in files beside the original are mapped from there."""
    wanted = options(threads)
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


def session_at(path: Path, threads: int = 0) -> onnxruntime.InferenceSession:
    """Session for a model on disk, external data beside it."""
    return onnxruntime.InferenceSession(str(path), options(threads), providers=["CPUExecutionProvider"])
