"""External data stays in the model's folder: no absolute path, no ``..``, no link that leads out, no short file."""

from collections.abc import Iterator
from math import prod
from pathlib import Path, PurePosixPath, PureWindowsPath

import onnx
import onnx_ir as ir

from qtnc.errors import Diagnostic, ImportModelError


def check_external_data(proto: onnx.ModelProto, path: Path) -> None:
    """Look at every external tensor before any of them is opened.

    Raises
    ------
    ImportModelError
        With one diagnostic for each tensor whose data is outside the folder, missing or of the wrong length.
    """
    folder = path.parent.resolve()
    wrong = [
        Diagnostic(f"tensor {_shown(tensor.name)}: {reason}", place=str(path))
        for tensor in _tensors(proto.graph)
        if tensor.data_location == onnx.TensorProto.EXTERNAL and (reason := _fault(tensor, folder))
    ]
    if wrong:
        raise ImportModelError(*wrong[:20])


def external_files(path: Path) -> tuple[Path, ...]:
    """Files beside a model that hold its weights; checked to be inside its folder when the model was read."""
    proto = onnx.load_model(str(path), load_external_data=False)
    tensors = (t for t in _tensors(proto.graph) if t.data_location == onnx.TensorProto.EXTERNAL)
    names = {entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"}
    return tuple(path.parent / name for name in sorted(names))


def _fault(tensor: onnx.TensorProto, folder: Path) -> str | None:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    pure = PurePosixPath(location)
    if not location or "\0" in location or pure.is_absolute() or PureWindowsPath(location).drive or ".." in pure.parts:
        return f"external data {_shown(location)} is not a plain path inside the model's folder"
    file = (folder / location).resolve()
    if not file.is_relative_to(folder):
        return f"external data {_shown(location)} leads out of the model's folder through a link"
    if not file.is_file():
        return f"external data file {_shown(location)} is missing"
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", -1))
        bits = ir.DataType(tensor.data_type).bitwidth
    except (ValueError, TypeError):
        return f"external data of {_shown(location)} has no readable offset, length or type"
    if any(size < 0 for size in tensor.dims):
        return f"has the shape {list(tensor.dims)}"
    needed = (prod(tensor.dims) * bits + 7) // 8
    if length not in (-1, needed):
        return f"its shape needs {needed:,} bytes, its external data claims {length:,}"
    if offset < 0 or offset + needed > file.stat().st_size:
        return f"needs bytes {offset:,} to {offset + needed:,} of {_shown(location)}, which has {file.stat().st_size:,}"
    return None


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _tensors(inner)


def _shown(name: str) -> str:
    """A name from the file, quoted and shortened."""
    text = repr(name)
    return text if len(text) <= 80 else text[:76] + "...'"
