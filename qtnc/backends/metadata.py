"""What a model says of itself, its licence too, and who compiled it: kept in every form that comes out."""

import onnx_ir as ir

from qtnc import __version__

STAMP = "qtnc"
"""Metadata by which a compiled file is known."""


def stamp(model: ir.Model) -> None:
    """Say in the model's metadata what compiled it; the same inputs give the same words."""
    model.metadata_props[STAMP] = f"compiled by qtnc {__version__}"


def facts_of(model: ir.Model) -> dict[str, str]:
    """The model's metadata and what its fields say, as text by key, the stamp among it."""
    fields = {
        "producer_name": model.producer_name,
        "producer_version": model.producer_version,
        "domain": model.domain,
        "model_version": str(model.model_version or ""),
        "doc_string": model.doc_string,
    }
    said = {key: text for key, text in fields.items() if text}
    return said | dict(model.metadata_props) | {STAMP: f"compiled by qtnc {__version__}"}
