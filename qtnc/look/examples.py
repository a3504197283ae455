"""Examples of rules, carried out: what a rule makes of them, and whether it computes the same."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx_ir as ir

from qtnc.calibrate.data import Feed
from qtnc.calibrate.session import run, session_of
from qtnc.errors import Diagnostic, PassError, SpecError
from qtnc.look.verify_each import rounding
from qtnc.planner.preparing import missed
from qtnc.rules import terms
from qtnc.rules.drawing import OPSET, draw
from qtnc.rules.driving import apply_rules
from qtnc.rules.pattern import Operation, parts_of
from qtnc.rules.rule import Example, SpecRule
from qtnc.rules.sameness import expression, same_outputs
from qtnc.rules.schemas import since
from qtnc.verify.compare import relative_errors, worst

SEEDS: Final = (0, 1, 2)
"""Numbers that an example leaves open are drawn so often."""


MEANT: Final = 0.1
"""Error up to which a rule may be meant to be approximate."""


@dataclass(frozen=True)
class Shown:
    """One example that holds: by how much outputs moved, relative to their size, over all seeds."""

    rule: str
    error: float


class _Told(SpecRule):
    """What an example says as a rule, which holds of its own graph alone: results that it does not replace stay."""

    @property
    def shared(self) -> frozenset[str]:
        return self.matcher.names


def run_examples(rules: Iterable[SpecRule]) -> tuple[Shown, ...]:
    """Carry out all examples.

    Raises
    ------
    SpecError
        With a diagnostic for every one that does not hold.
    """
    shown: list[Shown] = []
    wrong: list[Diagnostic] = []
    for rule in rules:
        for example in rule.examples:
            try:
                shown.append(Shown(rule.name, worst([_carry_out(rule, example, seed) for seed in SEEDS])))
            except (SpecError, PassError) as error:
                wrong += error.diagnostics
    if wrong:
        raise SpecError(*wrong)
    return tuple(shown)


def _carry_out(rule: SpecRule, example: Example, seed: int) -> float:
    """The relative error that the rule makes of an example."""
    before = draw(example.before, seed, _opset(rule, example))
    after = before.clone()
    (applied,) = apply_rules(after, [rule])
    if not example.after:
        if applied.times:
            became = ", ".join(expression(value) for value in after.graph.outputs)
            raise _wrong(example, f"rule `{rule.name}` is to leave this as it is, and makes {became} of it")
        return 0.0
    if not applied.times:
        raise _wrong(example, f"rule `{rule.name}` does not apply; {missed(applied)}")
    expected = before.clone()
    told = _Told(rule.name, example.before, example.after, rule.within, (), example.span)
    (meant,) = apply_rules(expected, [told], at_most=1)
    if not meant.times:
        raise _wrong(example, f"`after` says nothing of what is `before`; {missed(meant)}")
    if not same_outputs(after.graph.outputs, expected.graph.outputs):
        became = ", ".join(expression(value) for value in after.graph.outputs)
        wanted = ", ".join(expression(value) for value in expected.graph.outputs)
        raise _wrong(example, f"rule `{rule.name}` makes {became} of it, and `after` says {wanted}")
    return _judge(rule, example, before, after)


def _opset(rule: SpecRule, example: Example) -> int:
    """The opset of an example: one that has all operators in it, and all that the rule makes of it."""
    drawn = (part for equation in example.before for part in parts_of(equation.operation))
    ops = {op for part in drawn if isinstance(part, Operation) for op in part.ops}
    made = (part for step in (*rule.steps, *example.after) for part in terms.parts_of(step.term))
    ops |= {part.op for part in made if isinstance(part, terms.Apply) and not part.again}
    return max([OPSET, *(since(op) for op in ops)])


def _judge(rule: SpecRule, example: Example, before: ir.Model, after: ir.Model) -> float:
    allowed = rounding(before) if rule.within is None else rule.within
    feed = _feed(before)
    names = [str(value.name) for value in before.graph.outputs]
    try:
        first, second = session_of(before), session_of(after)
        errors = relative_errors(
            lambda given: dict(zip(names, run(first, names, given), strict=True)),
            {"after": lambda given: dict(zip(names, run(second, names, given), strict=True))},
            [feed],
        )
    except Exception as error:  # onnxruntime's errors share no base class
        raise _wrong(example, f"it does not run in onnxruntime: {str(error)[:200]}") from error
    found = worst(errors["after"])
    if not found <= allowed:
        message = f"rule `{rule.name}` moves what this computes by {found:.3%}, and may move it by {allowed * 100:.3g}%"
        may_be_meant = rule.within is None and found <= MEANT
        way_out = None if not may_be_meant else "if it is meant to be approximate, say how much: `within 1%`"
        raise SpecError(Diagnostic(message, example.span, way_out))
    return found


def _feed(model: ir.Model) -> Feed:
    """Seeded numbers for the inputs."""
    rng = np.random.default_rng(7)
    found: Feed = {}
    for value in model.graph.inputs:
        assert value.shape is not None  # noqa: S101 - examples say all sizes
        assert value.dtype is not None  # noqa: S101 - examples say all types
        shape, dtype = value.shape.numpy(), value.dtype.numpy()
        numbers = rng.normal(size=shape) if value.dtype.is_floating_point() else rng.integers(0, 2, shape)
        found[str(value.name)] = np.asarray(numbers).astype(dtype)
    return found


def _wrong(example: Example, message: str) -> SpecError:
    return SpecError(Diagnostic(message, example.span))
