"""A model made ready for its plan, and what is to be known of how it became so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import onnx_ir as ir

from qtnc.errors import printable
from qtnc.pipeline import Hook, Pipeline, Ran
from qtnc.planner.claim import place
from qtnc.planner.plan import RuleDone
from qtnc.planner.totals import Totals, totals, weights_of
from qtnc.road.road import Road
from qtnc.rules.driving import Applied
from qtnc.spec.wording import clip

SHOWN: Final = 3
"""Operators of a rule that are named."""


@dataclass(frozen=True)
class Prepared:
    """A canonical model.

    Attributes
    ----------
    ran : the passes that made it so.
    original : what its weights came to before the spec's own passes and rules; None where the spec asks for none.
    rules : what became of each rule.
    """

    model: ir.Model
    ran: tuple[Ran, ...]
    original: Totals | None
    rules: tuple[RuleDone, ...]


@dataclass(eq=False)
class _Before:
    """A hook that keeps what weights came to until the first pass that the spec asks for."""

    asked: frozenset[str]
    found: Totals | None = None
    met: bool = field(default=False)

    def __call__(self, ran: Ran, model: ir.Model) -> None:
        self.met = self.met or ran.name in self.asked
        if not self.met:
            self.found = totals(weights_of(model))


def prepare_model(model: ir.Model, road: Road, given: Mapping[str, Any], after: Sequence[Hook] = ()) -> Prepared:
    """Run the passes before the plan; see :class:`qtnc.pipeline.Pipeline`."""
    asked = frozenset(step.name for step in road.known.used)
    before = _Before(asked)
    result = Pipeline(road.prepare(given), (*after, *([before] if asked else []))).run(model)
    return Prepared(result.model, result.ran, before.found, rules_done(result.ran))


def rules_done(ran: Sequence[Ran]) -> tuple[RuleDone, ...]:
    """What became of the rules that passes applied."""
    return tuple(_done(note) for step in ran for note in step.notes if isinstance(note, Applied))


def missed(applied: Applied) -> str:
    """Where a rule that was never applied came nearest, and why not there."""
    nearest = applied.nearest
    if nearest is None:
        rest = ", ..." if len(applied.roots) > SHOWN else ""
        return f"there is no {', '.join(applied.roots[:SHOWN])}{rest}"
    part = f" (`{clip(nearest.span.text, 60)}`)" if nearest.span else ""
    return f"nearest at `{printable(nearest.node or nearest.op)}`: {nearest.reason}{part}"


def _done(applied: Applied) -> RuleDone:
    told = None if applied.times else missed(applied)
    return RuleDone(applied.rule, place(applied.span) if applied.span else None, applied.times, told)
