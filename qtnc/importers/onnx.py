"""ONNX files to the IR: read, confined to their folder, checked, shapes inferred, the opset settled."""

from pathlib import Path

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError
from onnx_ir.passes.common import ShapeInferencePass

from qtnc.errors import Diagnostic, ImportModelError
from qtnc.importers.external import check_external_data

OLDEST_OPSET = 13
"""Older models are converted to this opset by onnx's own converter; the form of Squeeze and the reductions changed."""

NEWEST_OPSET = 25

IR_VERSION = 10
"""First ONNX IR version with overloads, by which every layer has a function of its own."""


def read_model(path: Path) -> ir.Model:
    """Read a model.

    Raises
    ------
    ImportModelError
        If the file is missing, empty, truncated, not ONNX, invalid, too old or too new, or if its external data is
        missing, too short or outside the model's folder.
    """
    proto = _read_proto(path)
    check_external_data(proto, path)
    _check(proto, path)
    proto = _settle_opset(proto, path)
    try:
        model = ir.from_proto(proto)
    except Exception as error:  # onnx_ir raises whatever the damage leads to
        raise _wrong(path, f"cannot be read as a graph: {_first_line(error)}") from error
    _bind_external_data(model, path.parent)
    model.ir_version = max(model.ir_version or IR_VERSION, IR_VERSION)
    return _infer_shapes(model)


def _read_proto(path: Path) -> onnx.ModelProto:
    if not path.exists():
        raise _wrong(path, "no such file")
    if not path.is_file():
        raise _wrong(path, "not a file")
    if path.stat().st_size == 0:
        raise _wrong(path, "the file is empty")
    try:
        proto = onnx.load_model(str(path), format="protobuf", load_external_data=False)
    except (DecodeError, ValueError) as error:
        raise _wrong(path, "not an ONNX model, or a damaged one", "export it again, or copy it again") from error
    except OSError as error:
        raise _wrong(path, f"cannot be read: {error.strerror}") from error
    if not proto.HasField("graph") or not proto.graph.output:
        raise _wrong(path, "not an ONNX model: it holds no graph with outputs", "export it again, or copy it again")
    return proto


def _check(proto: onnx.ModelProto, path: Path) -> None:
    """Run onnx's own checker, on the file where external data must be found beside it."""
    try:
        onnx.checker.check_model(str(path) if _has_external_data(proto) else proto)
    except onnx.checker.ValidationError as error:
        raise _wrong(path, f"not a valid ONNX model: {_first_line(error)}") from error


def _settle_opset(proto: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """Keep the model's own opset, raised to the oldest that is supported; done once, before functions exist."""
    versions = [entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")]
    if not versions:
        raise _wrong(path, "the model imports no opset of the standard domain")
    if versions[0] > NEWEST_OPSET:
        raise _wrong(
            path, f"opset {versions[0]} is newer than {NEWEST_OPSET}, the newest supported", "export to an older opset"
        )
    if versions[0] >= OLDEST_OPSET:
        return proto
    try:
        return onnx.version_converter.convert_version(proto, OLDEST_OPSET)
    except Exception as error:  # the converter raises bare RuntimeError and more
        reason = f"opset {versions[0]} is older than {OLDEST_OPSET} and cannot be converted: {_first_line(error)}"
        raise _wrong(path, reason, f"export to opset {OLDEST_OPSET} or newer") from error


def _bind_external_data(model: ir.Model, folder: Path) -> None:
    """Tell external tensors where their files are; they are mapped, not read."""
    for value in model.graph.initializers.values():
        if isinstance(value.const_value, ir.ExternalTensor):
            value.const_value.base_dir = folder


def _infer_shapes(model: ir.Model) -> ir.Model:
    """Infer what can be; rewriting needs the rank of every product's input."""
    return ShapeInferencePass(check_type=False, strict_mode=False, data_prop=True)(model).model


def _has_external_data(proto: onnx.ModelProto) -> bool:
    return any(t.data_location == onnx.TensorProto.EXTERNAL for t in proto.graph.initializer)


def _wrong(path: Path, message: str, way_out: str | None = None) -> ImportModelError:
    return ImportModelError(Diagnostic(message, place=str(path), help=way_out))


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
