"""A plan that was recorded, read back to be obeyed: what it chose is not chosen again."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any

import msgspec

from qtnc.errors import Diagnostic, PlanError, printable
from qtnc.ir.layers import Layer
from qtnc.planner.plan import FORMAT, LayerPlan, Plan
from qtnc.planner.weighing import Found, Metrics, covariance_of, pool_of
from qtnc.rewrite.products import effort, problem_of
from qtnc.spec.program import Rewrite, Spec
from qtnc.structures.structure import MisfitError, Problem, Stack, Structure, stacked
from qtnc.work.unit import Outcome, Task
from qtnc.work.work import Work

LARGEST_FILE = 1 << 28
"""Bytes from which a file is no plan: every layer takes about 1 KB."""


@dataclass(frozen=True)
class Recorded:
    """A plan and the file that it was read from."""

    plan: Plan
    path: Path

    @cached_property
    def layers(self) -> Mapping[str, LayerPlan]:
        """Entries by layer."""
        return {entry.layer: entry for entry in self.plan.layers}

    def check(self, spec: Spec, inputs: Mapping[str, str]) -> None:
        """Refuse a plan that was made from other files, for another stage or other sizes.

        Raises
        ------
        PlanError
            With what is another.
        """
        changed = [
            name for name in sorted({*inputs, *self.plan.inputs}) if inputs.get(name) != self.plan.inputs.get(name)
        ]
        if changed:
            named = ", ".join(f"`{printable(name)}`" for name in changed)
            raise self._wrong(f"it was made from another {named}", "make a new plan by `qtnc plan --json`")
        for word, theirs, ours in (
            ("stage", self.plan.stage, spec.stage),
            ("optimize", self.plan.optimize, spec.optimize),
            ("bind", dict(self.plan.binds), dict(spec.binds)),
            ("--set", dict(self.plan.settings), dict(spec.settings)),
        ):
            if theirs != ours:
                raise self._wrong(f"{word} is {_said(theirs)} there and {_said(ours)} here")

    def found(self, claimed: Sequence[tuple[Layer, Rewrite]], metrics: Metrics, work: Work) -> Mapping[Hashable, Found]:
        """What the plan chose for the weights of the layers, by :func:`qtnc.planner.weighing.pool_of`.

        Raises
        ------
        PlanError
            If the plan has no such layer, or chose what the spec does not ask for.
        """
        wanted: dict[Hashable, tuple[Layer, Rewrite, LayerPlan]] = {}
        for layer, rule in claimed:
            entry = self._entry(layer, rule)
            if entry.structure != "dense":
                wanted.setdefault(pool_of(layer, rule), (layer, rule, entry))
        tasks = [Task(x.name, effort(x), _seeking(x, rule, entry, metrics)) for x, rule, entry in wanted.values()]
        outcomes = work.run("plan", tasks)
        found: dict[Hashable, Found] = {}
        for pool, (layer, rule, entry) in wanted.items():
            try:
                structure = rule.structure.settle(entry.settled, layer.matrix_shape, next(outcomes).arrays)
            except MisfitError as error:
                raise self._wrong(f"layer `{printable(layer.name)}`: {error}") from error
            found[pool] = _as_recorded(structure, entry, layer, covariance_of(layer, rule, metrics))
        return found

    def agreed(self, plan: Plan) -> Plan:
        """The recorded plan, where it is what came of obeying it.

        Raises
        ------
        PlanError
            If it is not: it was made for another spec, or changed by hand.
        """
        ours = [entry.layer for entry in plan.layers]
        if sorted(ours) != sorted(entry.layer for entry in self.plan.layers):
            named = ", ".join(f"`{printable(name)}`" for name in sorted({*ours} ^ {*self.layers}))
            raise self._wrong(f"it and the spec claim other layers: {named}")
        for entry in plan.layers:
            theirs = self.layers[entry.layer]
            for name in (field.name for field in fields(LayerPlan)):
                there, here = getattr(theirs, name), getattr(entry, name)
                if there != here:
                    shown = f"layer `{printable(entry.layer)}`: {name} is {_said(there)} there and {_said(here)} here"
                    raise self._wrong(shown, "a plan is not changed by hand: change the spec and plan again")
        return self.plan

    def _entry(self, layer: Layer, rule: Rewrite) -> LayerPlan:
        name = printable(layer.name)
        if layer.name not in self.layers:
            raise self._wrong(f"it has no layer `{name}`, which the spec claims")
        entry = self.layers[layer.name]
        if entry.structure not in ("dense", rule.structure.name):
            raise self._wrong(f"layer `{name}` is {_said(entry.structure)} there and `{rule.structure.name}` here")
        return entry

    def _wrong(self, message: str, way_out: str | None = None) -> PlanError:
        return PlanError(Diagnostic(message, place=str(self.path), help=way_out))


@dataclass(frozen=True, eq=False)
class Seeking:
    """What a settled structure keeps beside what a plan says of it, such as angles; for most it is nothing."""

    problem: Problem | Stack
    structure: Structure
    settled: Mapping[str, Any]

    def run(self) -> Outcome:
        """Find it again."""
        kept = self.problem if isinstance(self.problem, Problem) else ()  # what is found for stacks, the plan says
        return Outcome({}, self.structure.settle(self.settled, self.problem.shape, kept).kept())


def read_plan(path: Path) -> Recorded:
    """Read what ``qtnc plan --json`` or a compile wrote.

    Raises
    ------
    PlanError
        If there is no such file, or it holds anything else.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError("it is too large for a plan")
        content = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        if content.pop("format", None) != FORMAT:
            raise ValueError(f"it has no format {FORMAT}, which this qtnc reads")
        return Recorded(msgspec.convert(_unbounded(content), Plan), path)
    except OSError as error:
        raise PlanError(Diagnostic(f"cannot be read: {error.strerror}", place=str(path))) from error
    except (ValueError, RecursionError) as error:
        message = f"not a plan: {error}"
        raise PlanError(Diagnostic(message, place=str(path), help="make one by `qtnc plan --json`")) from error


def _unbounded(content: dict[str, Any]) -> dict[str, Any]:
    """Put back the infinity that JSON does not have: no number of shots may reach an error."""
    layers = content.get("layers")
    for entry in layers if isinstance(layers, list) else ():
        circuits = entry.get("circuits") if isinstance(entry, dict) else None
        if isinstance(circuits, dict) and circuits.get("error_at_shots", 0) is None:
            circuits["error_at_shots"] = inf
    return content


def _seeking(layer: Layer, rule: Rewrite, entry: LayerPlan, metrics: Metrics) -> Any:
    covariance = covariance_of(layer, rule, metrics)
    return lambda: Seeking(problem_of(layer, covariance), rule.structure, entry.settled)


def _as_recorded(structure: Structure, entry: LayerPlan, layer: Layer, covariance: Any) -> Found:
    parts = stacked(structure.parts(layer.matrix_shape), layer.stack)
    return Found(structure, entry.predicted_error, entry.reason, covariance, parts, entry.baselines, entry.circuits)


def _said(value: object) -> str:
    return f"`{printable(str(value))}`" if value not in (None, {}) else "not given"
