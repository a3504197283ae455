"""A rule: what it looks for, on what condition, and what it puts there."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import onnx_ir as ir

from qtnc.rules import terms
from qtnc.rules.building import Builder
from qtnc.rules.computing import Computing
from qtnc.rules.found import Match, decline
from qtnc.rules.matching import Matcher
from qtnc.rules.operators import operators_of
from qtnc.rules.pattern import Equation, Operation, parts_of
from qtnc.rules.terms import Step, Term, Where
from qtnc.rules.unmet import unmet
from qtnc.source import Span


class Rule(Protocol):
    """What the driver applies.

    Attributes
    ----------
    name : what traces and reports call it.
    matcher : what it looks for.
    shared : names of results that it takes even where something outside of the match reads them too.
    within : largest relative error that it may make; None where it is exact but for rounding.
    span : where it stands, if it has a place in a text.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def matcher(self) -> Matcher: ...  # noqa: D102
    @property
    def shared(self) -> frozenset[str]: ...  # noqa: D102
    @property
    def within(self) -> float | None: ...  # noqa: D102
    @property
    def span(self) -> Span | None: ...  # noqa: D102

    def replace(self, found: Match, build: Builder) -> Mapping[str, ir.Value]:
        """What takes the place of which results of the match.

        Raises
        ------
        DeclinedError
            If it does not apply here after all.
        """
        ...


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
    lines : what it asks, computes and replaces, in order.
    within : largest relative error that it may make, of its examples; None where it is exact but for rounding.
    """

    name: str
    equations: tuple[Equation, ...]
    lines: tuple[Where | Step, ...]
    within: float | None
    examples: tuple[Example, ...]
    span: Span

    @property
    def conditions(self) -> tuple[Term, ...]:
        """Of its ``where`` lines, all of which must hold."""
        return tuple(line.condition for line in self.lines if isinstance(line, Where))

    @property
    def steps(self) -> tuple[Step, ...]:
        """What is computed and what replaces what."""
        return tuple(line for line in self.lines if isinstance(line, Step))

    @cached_property
    def matcher(self) -> Matcher:
        """What it looks for."""
        return Matcher(self.equations)

    @cached_property
    def shared(self) -> frozenset[str]:
        """Results of which it asks how often they are used, or which what it puts there reads."""
        asked = {
            argument.name
            for condition in self.conditions
            for part in terms.parts_of(condition)
            if isinstance(part, terms.Call) and part.function == "uses"
            for argument in part.arguments
            if isinstance(argument, terms.Ref)
        }
        read = (part for step in self.steps for part in terms.parts_of(step.term))
        return frozenset(asked | {part.name for part in read if isinstance(part, terms.Ref)})

    @cached_property
    def on_networks(self) -> bool:
        """Whether it looks for operations of the ``qtn`` dialect, which are there once layers are rewritten."""
        found = (part for equation in self.equations for part in parts_of(equation.operation))
        named = (operators_of(part.ops) for part in found if isinstance(part, Operation))
        return any(domain == "qtn" for operators in named for domain, _ in operators)

    def replace(self, found: Match, build: Builder) -> Mapping[str, ir.Value]:
        """Go through its lines: ask conditions, compute, make nodes."""
        computing = Computing(found, build)
        replaced: dict[str, ir.Value] = {}
        for line in self.lines:
            if isinstance(line, Step):
                results = self._results(line, computing, build)
                (replaced if line.replaces else computing.lets).update(zip(line.names, results, strict=True))
            elif not computing.truth(line.condition):
                decline(unmet(line.condition, computing), line.condition.span)
        return replaced

    def _results(self, step: Step, computing: Computing, build: Builder) -> tuple[ir.Value, ...]:
        """What one step comes to; where it replaces a result, as a value of the graph."""
        if len(step.names) > 1 and isinstance(step.term, terms.Apply):
            results = computing.nodes(step.term, len(step.names))
            if len(results) != len(step.names):
                decline(f"its node has {len(results)} results", step.span)
            return results
        result = computing.term(step.term)
        computing.remember(result, step.term)
        if step.replaces and not isinstance(result, ir.Value):
            result = build.constant_of(result, computing.source_of(step.term))
        return (result,)
