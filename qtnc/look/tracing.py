"""A trace of rewriting: every attempt, in the order in which they were made, for people or as data."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qtnc.errors import printable, visible
from qtnc.planner.plan import LayerPlan, Plan
from qtnc.rules.trace import Attempt, Listener
from qtnc.spec.wording import clip


@dataclass(frozen=True)
class Trace:
    """Says every attempt: a line of text each, or with ``as_data`` a line of JSON."""

    say: Callable[[str], None]
    as_data: bool = False

    @property
    def listen(self) -> Listener:
        """What is told of attempts."""
        return self._tell

    def tell_plan(self, plan: Plan) -> None:
        """Say of every layer that a rewrite of the spec claims what became of it."""
        for entry in plan.layers:
            self._tell(_of_layer(entry))

    def _tell(self, attempt: Attempt) -> None:
        self.say(json.dumps(attempt_json(attempt)) if self.as_data else attempt_text(attempt))


def attempt_text(attempt: Attempt) -> str:
    """``fold_scale at /l/Mul (Mul): no match: `w` is no constant``, with the part of the rule that failed."""
    where = f"{visible(attempt.rule)} at {printable(attempt.node)} ({attempt.op}): {attempt.outcome}"
    if attempt.outcome == "replaced":
        return f"{where} by {', '.join(attempt.made) or 'what was there'}"
    part = f" (`{clip(attempt.span.text, 60)}` at {visible(attempt.span.place())})" if attempt.span else ""
    return f"{where}: {visible(attempt.reason)}{visible(part)}"


def attempt_json(attempt: Attempt) -> dict[str, Any]:
    """The same as data; ``place`` and ``part`` are of the rule, null where it has no place in a text."""
    return {
        "rule": attempt.rule,
        "node": attempt.node,
        "op": attempt.op,
        "layer": attempt.layer,
        "outcome": attempt.outcome,
        "reason": attempt.reason,
        "place": attempt.span.place() if attempt.span else None,
        "part": attempt.span.text if attempt.span else None,
        "at": attempt.at,
        "made": list(attempt.made),
    }


def _of_layer(entry: LayerPlan) -> Attempt:
    """A rewrite of a layer, by the place of its statement."""
    tried = Attempt(entry.rule, entry.layer, entry.op, entry.layer, "replaced")
    if entry.structure == "dense":
        return tried.missed("declined", entry.reason, None, None)
    return tried.with_nodes((entry.structure,))
