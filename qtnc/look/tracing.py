"""A trace of rewriting: every attempt, in the order in which they were made, for people or as data."""

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from qtnc.errors import did_you_mean, printable, visible
from qtnc.planner.plan import LayerPlan, Plan
from qtnc.rules.trace import Attempt, Listener
from qtnc.spec.wording import clip


@dataclass(frozen=True)
class Trace:
    """Says every attempt: a line of text each, or with ``as_data`` a line of JSON.

    Attributes
    ----------
    only : rules of which alone is told; all where there are none.
    tried : rules that were.
    """

    say: Callable[[str], None]
    as_data: bool = False
    only: Collection[str] = ()
    tried: set[str] = field(default_factory=set)

    @property
    def listen(self) -> Listener:
        """What is told of attempts."""
        return self._tell

    def tell_plan(self, plan: Plan) -> None:
        """Say of every layer that a rewrite of the spec claims what became of it."""
        for entry in plan.layers:
            self._tell(_of_layer(entry))

    def untried(self) -> Iterator[str]:
        """Of every rule that is to be told of and was never tried, that it was not."""
        for name in self.only:
            if name not in self.tried:
                near = (
                    did_you_mean(name, self.tried) or "it may be misspelt, or there is no operator that it begins with"
                )
                yield f"trace: no rule `{printable(name)}` was tried: {near}"

    def _tell(self, attempt: Attempt) -> None:
        self.tried.add(attempt.rule)
        if self.only and attempt.rule not in self.only:
            return
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
