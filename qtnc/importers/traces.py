"""What an exporter leaves of its user's machine in a model: stack traces, and paths in what is written for people."""

import re

import onnx_ir as ir

STACK_TRACE = "pkg.torch.onnx.stack_trace"
"""Metadata in which torch's dynamo exporter keeps the paths of the exporting user's source files."""

_PATH = re.compile(
    r"(?<![\w/.:@-])~?/(?:[\w.@+-]+/)+[\w.@+-]*"  # /home/me/model.py, but neither https://x/y nor a/b
    r"|(?<![\w/]):/(?:[\w.@+-]+/)+|\w:/(?!/)(?:[\w.@+-]+/)+"  # at: /x/y is above; path:/x/y and C:/x/y
    r"|(?<!\w)[A-Za-z]:\\|\\\\\w+\\|file://"
)


def holds_path(text: str) -> bool:
    """Whether a text holds an absolute path of a file system."""
    return _PATH.search(text) is not None


def forget_machine(model: ir.Model) -> None:
    """Drop metadata and documentation that hold absolute paths; what is left stays, as text."""
    for field in ("producer_name", "producer_version", "domain"):
        setattr(model, field, _text(getattr(model, field)))
    _clean(model)
    for graph in model.graphs():
        _clean(graph)
        for value in (*graph.inputs, *graph.initializers.values()):
            _clean(value)
        for node in graph:
            node.metadata_props.pop(STACK_TRACE, None)
            _clean(node)
            for output in node.outputs:
                _clean(output)


def _clean(part: ir.Model | ir.Graph | ir.Node | ir.Value) -> None:
    documentation = _text(part.doc_string)
    part.doc_string = None if documentation and holds_path(documentation) else documentation
    if part.metadata_props:
        said = {_text(key) or "": _text(text) or "" for key, text in part.metadata_props.items()}
        part.metadata_props.clear()
        part.metadata_props.update({key: text for key, text in said.items() if not holds_path(text)})


def _text(found: str | bytes | None) -> str | None:
    """What protobuf found; it hands on bytes where a file is not UTF-8."""
    return found.decode("utf-8", "replace") if isinstance(found, bytes) else found
