"""A rule and a layer that it claims: whether it can be followed, and how it is named in plans."""

from pathlib import Path

from qtnc.errors import visible
from qtnc.ir.layers import Layer
from qtnc.rewrite.products import declined
from qtnc.source import Span
from qtnc.spec.program import Ignore, Rewrite


def declined_by(layer: Layer, rule: Rewrite) -> str | None:
    """Why a rule cannot be followed on a layer, or None."""
    if reason := declined(layer, rule.structure):
        return reason
    if rule.data and layer.nested:
        return "it is in the body of another node, where data is not followed (rewrite it without `on`)"
    return None


def place_of(rule: Rewrite | Ignore) -> str:
    """File and line of a statement."""
    return place(rule.span)


def place(span: Span) -> str:
    """File and line; folders stay out of plans and reports."""
    return f"{visible(Path(span.source.name).name)}:{span.line}"
