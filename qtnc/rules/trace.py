"""What became of every attempt to apply a rule, for those who ask why it did not match."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

import onnx_ir as ir

from qtnc.source import Span

WHOLE: Final = 1 << 20
"""Parts of a pattern that has been met as a whole: more than any has."""

Outcome = Literal["replaced", "declined", "no match"]


@dataclass(frozen=True)
class Attempt:
    """One rule at one node whose operator its root may have.

    Attributes
    ----------
    rule : its name.
    node, op : where it was tried: the node's name and its operator.
    layer : module path of the node, as far as the exporter told.
    outcome : ``no match`` where the pattern does not fit, ``declined`` where it fits and a condition fails.
    reason : why not.
    span : the part of the rule that failed.
    at : name of the value or node that it failed for.
    made : operators that took the place of the match, in order.
    met : how many parts of the pattern fitted.
    """

    rule: str
    node: str
    op: str
    layer: str
    outcome: Outcome
    reason: str = ""
    span: Span | None = None
    at: str | None = None
    made: tuple[str, ...] = ()
    met: int = 0

    def missed(self, outcome: Outcome, reason: str, span: Span | None, at: str | None, met: int = WHOLE) -> "Attempt":
        """The same, without success; a pattern that fitted has been met as a whole."""
        return replace(self, outcome=outcome, reason=reason, span=span, at=at, met=met)

    def with_nodes(self, made: tuple[str, ...]) -> "Attempt":
        """The same, with success."""
        return replace(self, made=made, met=WHOLE)


Listener = Callable[[Attempt], None]
"""Is told of attempts in the order in which they are made."""


def name_of(thing: Span | ir.Value | ir.Node | None) -> str | None:
    """Name of a value or a node; None for places in a text."""
    return thing.name if isinstance(thing, ir.Value | ir.Node) else None
