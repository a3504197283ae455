"""ONNX files to the IR: read, confined to their folder, checked, shapes inferred, the opset settled."""

from pathlib import Path

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError
from onnx_ir import external_data
from onnx_ir.passes.common import InlinePass, RemoveInitializersFromInputsPass

from qtnc.errors import Diagnostic, ImportModelError, QtncError, printable, visible
from qtnc.importers.opset import AskedOpset, settle_opset
from qtnc.importers.soundness import fault, forget_negative_sizes
from qtnc.importers.tensors import all_tensors, check_tensors, is_external
from qtnc.importers.traces import forget_machine
from qtnc.ir.dialect import DOMAIN, define, is_circuit, is_qtn
from qtnc.ir.inference import infer_shapes

IR_VERSION = 10
"""First ONNX IR version with overloads, by which every layer has a function of its own."""

LARGEST_FILE = 1 << 31
"""Bytes from which no protobuf message can be read."""


def read_model(path: Path, asked: AskedOpset | None = None) -> ir.Model:
    """Read a model, in the opset that is asked for, if any is.

    Raises
    ------
    ImportModelError
        If the file is missing, empty, truncated, not ONNX, invalid, too old or too new, or if its external data is
        missing, too short or outside the model's folder, or if its opset cannot be converted.
    """
    proto = _read_proto(path)
    _name_standard_domain(proto, path)
    check_tensors(proto, path)
    if reason := fault(proto):
        raise _wrong(path, reason)
    forget_negative_sizes(proto)
    _check(proto, path)
    proto = settle_opset(proto, path, asked)
    try:
        model = ir.from_proto(proto)
    except Exception as error:  # onnx_ir raises whatever the damage leads to
        raise _wrong(path, f"cannot be read as a graph: {_root(error)}") from error
    for graph in model.graphs():
        external_data.set_base_dir(graph, path.parent)  # mapped, not read
    _inline(model, path)
    forget_machine(model)
    RemoveInitializersFromInputsPass()(model)  # older exporters list every weight among the inputs
    model.ir_version = max(model.ir_version or IR_VERSION, IR_VERSION)
    return _remake_dialect(infer_shapes(model), path)


def _read_proto(path: Path) -> onnx.ModelProto:
    try:
        if not path.exists():
            raise _wrong(path, "no such file")
        if not path.is_file():
            raise _wrong(path, "not a file")
        size = path.stat().st_size
        if size == 0:
            raise _wrong(path, "the file is empty")
        if size >= LARGEST_FILE:
            raise _wrong(path, "larger than 2 GiB, where protobuf ends", "export it with external data")
        proto = onnx.load_model(str(path), format="protobuf", load_external_data=False)
    except (DecodeError, ValueError) as error:
        raise _wrong(path, "not an ONNX model, or a damaged one", "export it again, or copy it again") from error
    except OSError as error:
        raise _wrong(path, f"cannot be read: {error.strerror}") from error
    if not proto.HasField("graph") or not proto.graph.output:
        raise _wrong(path, "not an ONNX model: it holds no graph with outputs", "export it again, or copy it again")
    return proto


def _name_standard_domain(proto: onnx.ModelProto, path: Path) -> None:
    """Write the standard domain in one way, ``""``; ``ai.onnx`` is its other name."""
    for imports in (proto.opset_import, *(function.opset_import for function in proto.functions)):
        for entry in imports:
            if entry.domain == "ai.onnx":
                entry.domain = ""
    versions = {entry.version for entry in proto.opset_import if entry.domain == ""}
    if len(versions) > 1:
        found = " and ".join(map(str, sorted(versions)))
        raise _wrong(path, f"the model imports two opsets of the standard domain: {found}")


def _check(proto: onnx.ModelProto, path: Path) -> None:
    """Run onnx's own checker, shapes too, on the file where external data must be found beside it."""
    try:
        onnx.checker.check_model(str(path) if any(map(is_external, all_tensors(proto))) else proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError) as error:
        raise _wrong(path, f"not a valid ONNX model: {_first_lines(error)}") from error


def _inline(model: ir.Model, path: Path) -> None:
    """Put the bodies of the model's own functions where they are called: layers are looked for in graphs."""
    try:
        InlinePass(lambda function: function.domain != DOMAIN)(model)
    except Exception as error:  # onnx_ir raises whatever the damage leads to
        raise _wrong(path, f"its functions cannot be put in place: {_root(error)}") from error


def _remake_dialect(model: ir.Model, path: Path) -> ir.Model:
    """Make the functions of ``qtn`` nodes follow from their attributes, whatever the file has for them."""
    for node in [node for node in ir.traversal.RecursiveGraphIterator(model.graph) if is_qtn(node)]:
        try:
            define(model, node)
        except (QtncError, LookupError, ValueError, TypeError, OverflowError) as error:
            kind = "circuit" if is_circuit(node) else "tensor network"
            raise _wrong(path, f"node `{printable(node.name or '')}` is no {kind}: {_first_lines(error)}") from error
    return model


def _wrong(path: Path, message: str, way_out: str | None = None) -> ImportModelError:
    return ImportModelError(Diagnostic(message, place=str(path), help=way_out))


def _root(error: BaseException) -> str:
    """What went wrong at the bottom; onnx_ir wraps it in one error for each level of the graph."""
    while error.__cause__ is not None:
        error = error.__cause__
    return _first_lines(error)


def _first_lines(error: BaseException) -> str:
    """Beginning of a message of onnx, which goes on in further lines after a colon."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return visible(" ".join(lines[:2]) if lines[0].endswith(":") else lines[0])[:300]
