"""Decide, for every layer that a rewrite claims, what it becomes."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qtnc.calibrate.covariance import covariances
from qtnc.calibrate.data import DataSet
from qtnc.errors import printable, visible
from qtnc.ir.layers import Layer, find_layers
from qtnc.ir.paths import LayerPaths
from qtnc.ir.rows import unbound
from qtnc.planner.devices import check_devices
from qtnc.planner.latency import LatencyMeter
from qtnc.planner.plan import Estimate, Ignored, LayerPlan, Plan
from qtnc.planner.search import Metrics, Search, pool_of
from qtnc.planner.totals import sharing_notes, totals, totals_after, weights_of
from qtnc.rewrite.decision import Decision
from qtnc.rewrite.products import declined
from qtnc.spec.program import Ignore, Rewrite, Spec
from qtnc.spec.select import Selected, claims, ignored, select_layers
from qtnc.structures.cost import choose_order, flops_of

SLOWER = 1.1
"""Ratio of measured times from which a rewrite counts as slower than dense; below it is noise."""


@dataclass(frozen=True)
class Planned:
    """The plan, the decisions that make the passes do just that, and the names of the layers in each selector."""

    plan: Plan
    decisions: tuple[Decision, ...]
    selected: Selected


def make_plan(model: ir.Model, spec: Spec, data: Mapping[str, DataSet], model_name: str) -> Planned:
    """Plan a compile of a canonical model.

    Raises
    ------
    SpecError
        If a selector matches nothing, or a rewrite's options do not fit a layer.
    DataError
        If the calibration data does not run.
    """
    layers = find_layers(model)
    selected = select_layers(spec, layers, LayerPaths(model, layers))
    claimed = claims(spec, selected)
    check_devices(spec, layers, claimed)
    search = Search(spec, _statistics(model, layers, claimed, data))
    meter = LatencyMeter(model.graph.opset_imports[""])
    start = perf_counter()
    entries: list[LayerPlan] = []
    decisions: list[Decision] = []
    for layer in layers:
        if rules := claimed.get(layer.name):
            entry, decision = _plan_layer(layer, rules, search, meter)
            entries.append(entry)
            decisions += [decision] if decision else []
    seconds = perf_counter() - start
    alone = ignored(spec, selected)
    loose = unbound(model, spec.binds)
    notes = [f"symbolic axis `{axis}` is not bound; 1 is assumed (bind {axis} = ...)" for axis in map(printable, loose)]
    notes += sharing_notes(layers, entries)
    weights = weights_of(model)
    before, after = totals(weights), totals_after(weights, layers, entries)
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
        ignored=tuple(Ignored(x.name, _place(alone[x.name])) for x in layers if x.name in alone),
        settings=dict(spec.settings),
    )
    return Planned(plan, tuple(decisions), selected)


def _statistics(
    model: ir.Model,
    layers: tuple[Layer, ...],
    claimed: Mapping[str, tuple[Rewrite, ...]],
    data: Mapping[str, DataSet],
) -> Metrics:
    """Covariances by (data, layer), for the layers whose winning rewrite names data."""
    found: dict[tuple[str, str], NDArray[np.float64]] = {}
    rules = {name: first for name, (first, *_) in claimed.items()}
    for name, samples in data.items():
        wanted = [x for x in layers if x.name in rules and rules[x.name].data == name]
        wanted = [x for x in wanted if not _declined(x, rules[x.name])]
        if wanted:
            means = covariances(model, wanted, samples, lambda x: pool_of(x, rules[x.name]))
            found |= {(name, layer): mean for layer, mean in means.items()}
    return found


def _plan_layer(
    layer: Layer,
    rules: tuple[Rewrite, ...],
    search: Search,
    meter: LatencyMeter,
) -> tuple[LayerPlan, Decision | None]:
    rule, *overruled = rules
    rows = layer.rows(search.spec.binds)
    size = layer.elements
    flops = 2 * rows * size // prod(layer.stack)
    stays: dict[str, Any] = {
        "layer": layer.name,
        "op": layer.op,
        "shape": layer.shape,
        "rule": _place(rule),
        "overruled": tuple(_place(r) for r in overruled),
        "structure": "dense",
        "settled": {},
        "metric": rule.data or "weights",
        "predicted_error": 0.0,
        "parameters": size,
        "original_parameters": size,
        "bytes": layer.bytes,
        "original_bytes": layer.bytes,
        "rows": rows,
        "flops": flops,
        "dense_flops": flops,
        "latency": None,
        "baselines": None,
        "circuits": None,
    }
    if reason := _declined(layer, rule):
        return LayerPlan(**stays, reason=f"declined: {reason}"), None
    found = search.found(layer, rule)
    chain = tuple((part.product, choose_order(part.product, rows)) for part in found.parts)
    structure, pool = found.proposal.structure, pool_of(layer, rule)
    becomes = stays | {
        "structure": structure.name,
        "settled": structure.settled(),
        "predicted_error": found.proposal.predicted_error,
        "parameters": found.parameters,
        "bytes": int(found.parameters * layer.dtype.itemsize),
        "flops": sum(flops_of(product, order, rows) for product, order in chain),
        "latency": meter.measure(chain, rows),
        "baselines": found.baselines,
        "circuits": found.circuits,
        "shares": search.first.get(pool),
    }
    entry = LayerPlan(**becomes, reason=found.proposal.reason)
    if refusal := _refusal(rule, search.spec.optimize, entry):
        return LayerPlan(**stays, reason=refusal), None
    search.first.setdefault(pool, layer.name)
    return entry, Decision(layer.name, structure, found.covariance, entry.shares)


def _declined(layer: Layer, rule: Rewrite) -> str | None:
    """Why a rule cannot be followed on a layer, or None."""
    if reason := declined(layer, rule.structure):
        return reason
    if rule.data and layer.nested:
        return "it is in the body of another node, where data is not followed (rewrite it without `on`)"
    return None


def _place(rule: Rewrite | Ignore) -> str:
    """File and line of a rule; folders stay out of plans and reports."""
    return f"{visible(Path(rule.span.source.name).name)}:{rule.span.line}"


def _refusal(rule: Rewrite, optimize: str, entry: LayerPlan) -> str | None:
    """Why dense is the better choice, or None.

    What the spec fixes outright is obeyed under ``optimize memory`` even where it is larger; what it leaves to the
    planner is not. Under ``balanced`` and ``latency`` nothing is kept that is measured slower than dense.
    """
    if entry.parameters >= entry.original_parameters and rule.structure.leaves_choice:
        needed = f"{entry.parameters:,} of {entry.original_parameters:,} parameters"
        return f"dense is smaller: {entry.structure} needs {needed}"
    if entry.bytes >= entry.original_bytes and rule.structure.leaves_choice:
        return f"dense is smaller: {entry.structure} needs {entry.bytes:,} of {entry.original_bytes:,} bytes"
    if optimize != "memory" and entry.latency and entry.latency.ratio > SLOWER:
        ratio = f"{entry.latency.ratio:.1f}x dense at {entry.rows:,} rows"
        return f"dense is faster: {entry.structure} measured {ratio} (`optimize memory` keeps it)"
    return None


def _estimate(seconds: float, layers: tuple[Layer, ...], model_bytes: int) -> Estimate:
    """Guess from what planning took: a fit sweeps longer than a trial; memory is weights plus one problem's arrays."""
    largest = max((layer.elements for layer in layers), default=0)
    return Estimate(round(2.0 * seconds, 1), model_bytes + 8 * 8 * largest)
