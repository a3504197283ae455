"""ONNX out: standard operators only, checked, weights inside or, from 1 GiB on, beside it."""

from pathlib import Path

import onnx
import onnx_ir as ir

from qtnc.errors import BackendError

INLINE_LIMIT = 1 << 30
"""Bytes of weights up to which the model is a single file; protobuf ends at 2 GiB."""


def emit_onnx(model: ir.Model, folder: Path) -> None:
    """Write ``model.onnx`` into a folder, and ``model.onnx.data`` where the weights are large.

    Raises
    ------
    BackendError
        If operators outside the standard domain are left, or onnx's checker refuses the file.
    """
    foreign = sorted({node.domain for node in model.graph if node.domain} | {i[0] for i in model.functions})
    if foreign:
        raise BackendError(f"operators of {', '.join(foreign)} are left in the model; lower them first")
    tensors = [v.const_value for v in model.graph.initializers.values() if v.const_value is not None]
    path = folder / "model.onnx"
    external = "model.onnx.data" if sum(t.nbytes for t in tensors) > INLINE_LIMIT else None
    ir.save(model, path, external_data=external)
    try:
        onnx.checker.check_model(str(path), full_check=external is None)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise BackendError(f"the emitted ONNX model does not pass onnx's checker: {error}") from error
