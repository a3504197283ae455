"""The opset of a model: settled once, at import, before it has functions of ours; onnx's own converter does it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import inliner

from qtnc.errors import Diagnostic, ImportModelError, visible
from qtnc.importers.tensors import all_tensors, is_external
from qtnc.source import Span

OLDEST_OPSET = 13
"""Older models are converted to this opset; the form of Squeeze and the reductions changed."""

NEWEST_OPSET = 25


@dataclass(frozen=True)
class AskedOpset:
    """The opset that a spec asks for, or with ``at_most`` the newest that it admits; ``span`` is where it says so."""

    opset: int
    at_most: bool = False
    span: Span | None = None


def settle_opset(proto: onnx.ModelProto, path: Path, asked: AskedOpset | None = None) -> onnx.ModelProto:
    """Keep the model's own opset, or convert it to what is asked for, and to the oldest that is supported.

    Raises
    ------
    ImportModelError
        If the model names no opset, one too new, or one that onnx's converter cannot convert.
    """
    versions = [entry.version for entry in proto.opset_import if entry.domain == ""]
    if not versions:
        raise _wrong(path, "the model imports no opset of the standard domain")
    own = versions[0]
    if own > NEWEST_OPSET:
        reason = f"opset {own} is newer than {NEWEST_OPSET}, the newest supported"
        raise _wrong(path, reason, "export to an older opset")
    wanted = max(own, OLDEST_OPSET)
    if asked is not None:
        wanted = min(wanted, asked.opset) if asked.at_most else asked.opset
    if wanted == own:
        return proto
    try:
        return _converted(proto, wanted)
    except Exception as error:  # the converter raises bare RuntimeError and more
        raise _refusal(path, own, wanted, asked, error) from error


def _converted(proto: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """The model in another opset; the converter knows neither functions nor metadata."""
    flat = inliner.inline_local_functions(proto) if proto.functions else proto
    found = onnx.version_converter.convert_version(flat, opset)
    if not any(map(is_external, all_tensors(found))):  # else it is checked when it is written, its data beside it
        onnx.checker.check_model(found)
    found.metadata_props.extend(flat.metadata_props)
    found.graph.metadata_props.extend(flat.graph.metadata_props)
    told = {tuple(node.output): node for node in _nodes(flat.graph)}
    for node in _nodes(found.graph):
        if (source := told.get(tuple(node.output))) and not node.metadata_props:
            node.metadata_props.extend(source.metadata_props)
    return found


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Nodes, those of bodies too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for body in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _nodes(body)


def _refusal(path: Path, own: int, wanted: int, asked: AskedOpset | None, error: Exception) -> ImportModelError:
    reason = _said(error)
    if asked is None:
        message = f"opset {own} is older than {wanted} and cannot be converted: {reason}"
        return _wrong(path, message, f"export to opset {wanted} or newer")
    message = f"the model has opset {own} and cannot be converted to {wanted}: {reason}"
    way_out = f"export the model to opset {wanted}, or ask for {own}"
    if asked.at_most:
        way_out = f"export the model to opset {wanted} or older, or ask for a newer onnxruntime"
    return ImportModelError(Diagnostic(message, asked.span, way_out, str(path)))


def _said(error: BaseException) -> str:
    """What the converter says, without where in its own source it says so."""
    text = " ".join(str(error).split()) or type(error).__name__
    return visible(text.rpartition("Assertion `false` failed: ")[2].replace("$", ""))[:300]


def _wrong(path: Path, message: str, way_out: str | None = None) -> ImportModelError:
    return ImportModelError(Diagnostic(message, place=str(path), help=way_out))
