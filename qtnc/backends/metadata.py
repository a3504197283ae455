"""What a model says of itself, its licence too, and who compiled it: kept in every form that comes out."""

import onnx_ir as ir

from qtnc import __version__

STAMP = "qtnc"
"""Metadata by which a compiled file is known."""

MOST = 1 << 23
"""Characters of metadata that a safetensors file takes; its header ends at 100 MB, and one may take six bytes there."""


def stamp(model: ir.Model) -> None:
    """Say in the model's metadata what compiled it; the same inputs give the same words."""
    model.metadata_props[STAMP] = _stamp()


def facts_of(model: ir.Model) -> dict[str, str]:
    """The model's metadata and what its fields say, as text by key, the stamp first; up to ``MOST`` characters."""
    fields = {
        "producer_name": model.producer_name,
        "producer_version": model.producer_version,
        "domain": model.domain,
        "model_version": str(model.model_version or ""),
        "doc_string": model.doc_string,
    }
    said = {key: text for key, text in fields.items() if text} | dict(model.metadata_props) | {STAMP: _stamp()}
    kept: dict[str, str] = {}
    total = 0
    for key, text in sorted(said.items(), key=lambda item: (item[0] != STAMP, len(item[1]), item[0])):
        total += len(key) + len(text)
        if total <= MOST:
            kept[key] = text
    return kept


def _stamp() -> str:
    return f"compiled by qtnc {__version__}"
