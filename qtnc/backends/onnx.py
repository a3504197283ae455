"""ONNX out: standard operators only, checked, weights inside or, from 256 MiB on, beside it."""

from pathlib import Path

import onnx
import onnx_ir as ir
from onnx.helper import find_min_ir_version_for, make_opsetid

from qtnc.backends.foreign import foreign
from qtnc.backends.metadata import stamp
from qtnc.backends.onnx_options import OnnxOptions
from qtnc.errors import BackendError
from qtnc.ir.initializers import in_memory

INLINE_LIMIT = 1 << 28
"""Bytes of weights up to which the model is a single file, which is in memory three times while it is written."""


def emit_onnx(model: ir.Model, folder: Path, options: OnnxOptions | None = None) -> None:
    """Write ``model.onnx`` into a folder, and ``model.onnx.data`` where the weights are large.

    The IR version is that with which ONNX brought the opset out, or an older one that ``min_ort`` loads: whatever
    loads the opset loads the file.

    Raises
    ------
    BackendError
        If operators outside the standard domain are left, or onnx's checker refuses the file.
    """
    _refuse_others(model)
    newest = options.release.ir_version if options and options.release else onnx.IR_VERSION
    model.ir_version = min(find_min_ir_version_for([make_opsetid("", model.graph.opset_imports[""])]), newest)
    stamp(model)
    write_onnx(model, folder / "model.onnx")


def _refuse_others(model: ir.Model) -> None:
    """Refuse what is no standard operator."""
    if refused := foreign(model):
        raise BackendError(*refused)
    nodes = ir.traversal.RecursiveGraphIterator(model.graph)
    domains = {node.domain for node in nodes if node.domain} | {identifier[0] for identifier in model.functions}
    if domains:
        raise BackendError(f"operators of {', '.join(sorted(domains))} are left in the model; lower them first")


def write_onnx(model: ir.Model, path: Path) -> None:
    """Write any model as a file complete by itself, or with ``<name>.data`` beside it, and have onnx check it.

    Raises
    ------
    BackendError
        If onnx's checker refuses the file, which stays where it is.
    """
    tensors = [v.const_value for v in model.graph.initializers.values() if v.const_value is not None]
    external = f"{path.name}.data" if sum(t.nbytes for t in tensors) > INLINE_LIMIT else None
    ir.save(model if external else in_memory(model), path, external_data=external)
    try:
        onnx.checker.check_model(str(path), full_check=external is None)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise BackendError(f"the emitted ONNX model does not pass onnx's checker: {str(error)[:300]}") from error
