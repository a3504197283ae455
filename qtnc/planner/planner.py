"""Decide, for every layer that a rewrite claims, what it becomes."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from time import perf_counter
from types import MappingProxyType
from typing import Final

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qtnc.calibrate.covariance import covariances
from qtnc.calibrate.data import DataSet
from qtnc.errors import printable
from qtnc.ir.layers import Layer, find_layers
from qtnc.ir.paths import LayerPaths
from qtnc.ir.rows import unbound
from qtnc.planner.claim import declined_by, place_of
from qtnc.planner.devices import check_devices
from qtnc.planner.foresight import foreseen
from qtnc.planner.latency import LatencyMeter
from qtnc.planner.objective import refusal
from qtnc.planner.plan import Estimate, Ignored, LayerPlan, Plan, RuleDone
from qtnc.planner.recorded import Recorded
from qtnc.planner.runtimes import folded, runtimes_of
from qtnc.planner.totals import Totals, sharing_notes, totals, totals_after, weights_of
from qtnc.planner.weighing import Found, pool_of, weigh
from qtnc.rewrite.decision import Decision
from qtnc.spec.program import Rewrite, Spec
from qtnc.spec.select import Selected, claims, ignored, select_layers
from qtnc.structures.cost import choose_order, flops_of
from qtnc.work.work import Work

NO_HASHES: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True)
class Planned:
    """The plan, the decisions that make the passes do just that, and the names of the layers in each selector."""

    plan: Plan
    decisions: tuple[Decision, ...]
    selected: Selected


def make_plan(
    model: ir.Model,
    spec: Spec,
    data: Mapping[str, DataSet],
    model_name: str,
    *,
    inputs: Mapping[str, str] = NO_HASHES,
    work: Work = Work(),
    obeyed: Recorded | None = None,
    original: Totals | None = None,
    applied: Sequence[RuleDone] = (),
) -> Planned:
    """Plan a compile of a canonical model, or replay a plan that was recorded.

    Parameters
    ----------
    inputs : hashes of the files that the model and the data come from, by their names.
    original : what the weights came to before passes and rules of the spec, where it has any.
    applied : what became of its rules.
    obeyed : the plan to obey: nothing is searched for, measured or chosen again.

    Raises
    ------
    SpecError
        If a selector matches nothing, or a rewrite's options do not fit a layer.
    DataError
        If the calibration data does not run.
    PlanError
        If the recorded plan was made for something else.
    """
    if obeyed is not None:
        obeyed.check(spec, inputs)
    layers = find_layers(model)
    selected = select_layers(spec, layers, LayerPaths(model, layers))
    claimed = claims(spec, selected)
    check_devices(spec, layers, claimed)
    rules = [(layer, claimed[layer.name][0]) for layer in layers if layer.name in claimed]
    open_to_it = [(layer, rule) for layer, rule in rules if not declined_by(layer, rule)]
    metrics = _statistics(model, open_to_it, data)
    start = perf_counter()
    found = obeyed.found(open_to_it, metrics, work) if obeyed else weigh(spec, open_to_it, metrics, work)
    deciding = _Deciding(spec, found, LatencyMeter(model.graph.opset_imports[""], runtimes_of(spec)), obeyed)
    decided = [deciding.decide(layer, claimed[layer.name]) for layer, _ in rules]
    entries = [entry for entry, _ in decided]
    decisions = [decision for _, decision in decided if decision]
    seconds = perf_counter() - start
    alone = ignored(spec, selected)
    loose = unbound(model, spec.binds)
    notes = [f"symbolic axis `{axis}` is not bound; 1 is assumed (bind {axis} = ...)" for axis in map(printable, loose)]
    notes += sharing_notes(layers, entries)
    notes += foreseen(model, spec)
    weights = weights_of(model)
    before, after = original or totals(weights), totals_after(weights, layers, entries)
    plan = Plan(
        model=model_name,
        spec=Path(spec.source.name).name,
        stage=spec.stage,
        optimize=spec.optimize,
        binds=dict(spec.binds),
        layers=tuple(entries),
        unclaimed=len(layers) - len(entries) - len(alone),
        model_parameters=before[0],
        model_bytes=before[1],
        parameters=after[0],
        bytes=after[1],
        notes=tuple(notes),
        estimate=_estimate(seconds, layers, before[1]),
        ignored=tuple(Ignored(x.name, place_of(alone[x.name])) for x in layers if x.name in alone),
        settings=dict(spec.settings),
        inputs=dict(inputs),
        rules=tuple(applied),
    )
    if obeyed is not None:
        plan = obeyed.agreed(plan)
    return Planned(plan, tuple(decisions), selected)


def _statistics(
    model: ir.Model, claimed: Sequence[tuple[Layer, Rewrite]], data: Mapping[str, DataSet]
) -> Mapping[tuple[str, str], NDArray[np.float64]]:
    """Covariances by (data, layer), for the layers whose winning rewrite names data."""
    found: dict[tuple[str, str], NDArray[np.float64]] = {}
    rules = {layer.name: rule for layer, rule in claimed}
    for name, samples in data.items():
        wanted = [layer for layer, rule in claimed if rule.data == name]
        if wanted:
            means = covariances(model, wanted, samples, lambda x: pool_of(x, rules[x.name]))
            found |= {(name, layer): mean for layer, mean in means.items()}
    return found


@dataclass
class _Deciding:
    """Layer by layer, what is made of what was found, and the first layer that was rewritten for each weight."""

    spec: Spec
    found: Mapping[Hashable, Found]
    meter: LatencyMeter
    obeyed: Recorded | None
    first: dict[Hashable, str] = field(default_factory=dict)

    def decide(self, layer: Layer, rules: tuple[Rewrite, ...]) -> tuple[LayerPlan, Decision | None]:
        """The entry of one layer in the plan, and what its pass is told where it is rewritten."""
        rule, pool = rules[0], pool_of(layer, rules[0])
        stays = _dense(layer, rules, layer.rows(self.spec.binds))
        if reason := declined_by(layer, rule):
            return replace(stays, reason=f"declined: {reason}"), None
        recorded = self.obeyed.layers[layer.name] if self.obeyed else None
        if recorded and recorded.structure == "dense":
            return replace(stays, reason=recorded.reason), None
        found = self.found[pool]
        entry = self._rewritten(stays, layer, found, recorded)
        entry = replace(entry, shares=self.first.get(pool))
        if not recorded and (reason := refusal(rule, self.spec.optimize, entry)):
            return replace(stays, reason=reason), None
        self.first.setdefault(pool, layer.name)
        return entry, Decision(layer.name, found.structure, found.covariance, entry.shares)

    def _rewritten(self, stays: LayerPlan, layer: Layer, found: Found, recorded: LayerPlan | None) -> LayerPlan:
        rows, once = stays.rows, folded(self.spec)
        chain = tuple((part.product, choose_order(part.product, rows, folded=once)) for part in found.parts)
        return replace(
            stays,
            structure=found.structure.name,
            settled=found.structure.settled(),
            predicted_error=found.predicted_error,
            reason=found.reason,
            parameters=found.parameters,
            bytes=int(found.parameters * layer.dtype.itemsize),
            flops=sum(flops_of(product, order, rows, folded=once) for product, order in chain),
            latency=recorded.latency if recorded else self.meter.measure(chain, layer.dtype, rows),
            times=recorded.times if recorded else self.meter.times(chain, layer.dtype, rows),
            baselines=found.baselines,
            circuits=found.circuits,
        )


def _dense(layer: Layer, rules: tuple[Rewrite, ...], rows: int) -> LayerPlan:
    """The entry of a layer that stays as it is."""
    size = layer.elements
    flops = 2 * rows * size // prod(layer.stack)
    return LayerPlan(
        layer=layer.name,
        op=layer.op,
        shape=layer.shape,
        rule=place_of(rules[0]),
        overruled=tuple(place_of(r) for r in rules[1:]),
        structure="dense",
        settled={},
        metric=rules[0].data or "weights",
        predicted_error=0.0,
        parameters=size,
        original_parameters=size,
        bytes=layer.bytes,
        original_bytes=layer.bytes,
        rows=rows,
        flops=flops,
        dense_flops=flops,
        latency=None,
        baselines=None,
        circuits=None,
        reason="",
    )


def _estimate(seconds: float, layers: tuple[Layer, ...], model_bytes: int) -> Estimate:
    """Guess from what planning took: a fit sweeps longer than a trial; memory is weights plus one problem's arrays."""
    largest = max((layer.elements for layer in layers), default=0)
    return Estimate(round(2.0 * seconds, 1), model_bytes + 8 * 8 * largest)
