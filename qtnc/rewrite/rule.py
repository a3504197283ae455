"""A rule: what it looks for, on what condition, and what it puts there."""

from dataclasses import dataclass

from qtnc.rewrite.pattern import Equation
from qtnc.rewrite.terms import Step, Term
from qtnc.source import Span


@dataclass(frozen=True)
class Example:
    """What a rule does to a small graph.

    Attributes
    ----------
    before : the graph, its captures having types and static shapes where they are first named; those that are ``const``
        hold seeded numbers.
    after : what the rules make of it, as a replacement says it over the names of ``before``; empty where they must
        leave it as it is.
    """

    before: tuple[Equation, ...]
    after: tuple[Step, ...]
    span: Span


@dataclass(frozen=True)
class SpecRule:
    """A ``rule`` of a spec, its names and types checked.

    Attributes
    ----------
    equations : what it looks for; the last is the root.
    conditions : of its ``where`` lines, all of which must hold, in order.
    steps : what is computed and what replaces what, in order.
    within : largest relative error that it may make, of its examples; None where it is exact but for rounding.
    """

    name: str
    equations: tuple[Equation, ...]
    conditions: tuple[Term, ...]
    steps: tuple[Step, ...]
    within: float | None
    examples: tuple[Example, ...]
    span: Span
