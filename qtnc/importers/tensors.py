"""Tensors of a model file, looked at before any of them is read.

External data stays in the model's folder: no absolute path, no ``..``, no link that leads out, no short file. Data in
the file has the length that its shape needs.
"""

from collections.abc import Iterable, Iterator
from math import prod
from pathlib import Path, PurePosixPath, PureWindowsPath

import onnx
import onnx_ir as ir

from qtnc.errors import Diagnostic, ImportModelError, printable

TYPES = frozenset(int(dtype) for dtype in ir.DataType if dtype != ir.DataType.UNDEFINED)

MOST_BYTES = 1 << 63
"""That a file may have."""

MOST_FAULTS = 20
"""Tensors that one error names."""


def check_tensors(proto: onnx.ModelProto, path: Path) -> None:
    """Look at every tensor before any of them is opened.

    Raises
    ------
    ImportModelError
        With one diagnostic for each tensor whose data is outside the folder, missing or of the wrong length.
    """
    folder = path.parent.resolve()
    wrong = []
    for tensor in all_tensors(proto):
        if fault := _fault(tensor, folder):
            wrong.append(Diagnostic(f"tensor {_shown(tensor.name)}: {fault}", place=str(path)))
    if wrong:
        raise ImportModelError(*wrong[:MOST_FAULTS])


def external_files(path: Path) -> tuple[Path, ...]:
    """Files beside a model that hold its weights; checked to be inside its folder when the model was read."""
    proto = onnx.load_model(str(path), load_external_data=False)
    locations = (_entries(tensor).get("location", "") for tensor in all_tensors(proto) if is_external(tensor))
    return tuple(sorted({path.parent / name for name in locations}))


def is_external(tensor: onnx.TensorProto) -> bool:
    """Whether the elements lie in another file."""
    return bool(tensor.data_location == onnx.TensorProto.EXTERNAL)


def all_tensors(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Initialisers, sparse ones and attributes, of subgraphs and functions too."""
    yield from _of_graph(proto.graph)
    for function in proto.functions:
        yield from _of_nodes(function.node)


def _of_graph(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            sparse = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
            for held in (*attribute.sparse_tensors, *sparse):
                yield from (held.values, held.indices)
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _of_graph(inner)


def _entries(tensor: onnx.TensorProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def _needed(tensor: onnx.TensorProto) -> int | None:
    """Bytes of the elements, or None where the type or the shape has none."""
    try:
        bits = ir.DataType(tensor.data_type).bitwidth
    except (ValueError, TypeError):
        return None
    return None if any(size < 0 for size in tensor.dims) else (prod(tensor.dims) * bits + 7) // 8


def _fault(tensor: onnx.TensorProto, folder: Path) -> str | None:
    if tensor.data_type not in TYPES:
        return f"ONNX has no data type {tensor.data_type}"
    return _external_fault(tensor, folder) if is_external(tensor) else _inline_fault(tensor)


def _inline_fault(tensor: onnx.TensorProto) -> str | None:
    """Lengths of raw data; onnx's checker looks at the rest, and lets raw data be too long."""
    needed = _needed(tensor)
    if not tensor.HasField("raw_data") or needed is None or len(tensor.raw_data) == needed:
        return None
    return f"its shape needs {_bytes(needed)}, it holds {len(tensor.raw_data):,}"


def _external_fault(tensor: onnx.TensorProto, folder: Path) -> str | None:
    entries = _entries(tensor)
    location = entries.get("location", "")
    shown = _shown(location)
    pure = PurePosixPath(str(location))
    plain = isinstance(location, str) and location and "\0" not in location
    if not plain or pure.is_absolute() or PureWindowsPath(location).drive or ".." in pure.parts:
        return f"external data {shown} is not a plain path inside the model's folder"
    try:
        file = (folder / location).resolve()
        if not file.is_relative_to(folder):
            return f"external data {shown} leads out of the model's folder through a link"
        if not file.is_file():
            return f"external data file {shown} is missing"
        size = file.stat().st_size
    except (OSError, RuntimeError) as error:  # a path too long, a link to itself
        return f"external data {shown} cannot be read: {getattr(error, 'strerror', None) or 'a link leads to itself'}"
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", -1))
    except ValueError:
        return f"external data {shown} has no readable offset or length"
    needed = _needed(tensor)
    if needed is None:
        return f"has type {tensor.data_type} and shape {list(tensor.dims)}, of which no data can be"
    if length not in (-1, needed):
        return f"its shape needs {_bytes(needed)}, its external data claims {_bytes(length)}"
    if offset < 0:
        return f"its external data begins before {shown} does"
    if offset + needed > size:
        return f"needs {_bytes(needed)} beyond byte {min(offset, MOST_BYTES):,} of {shown}, which has {size:,}"
    return None


def _bytes(count: int) -> str:
    """A number of bytes, which may have as many digits as the file says axes."""
    return f"{count:,} bytes" if abs(count) < MOST_BYTES else "more bytes than any file has"


def _shown(name: str) -> str:
    """A name from the file, quoted; protobuf hands on bytes where it is not UTF-8."""
    return f"'{printable(str(name))}'"
