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
from qtnc.ir.layers import Layer, find_layers
from qtnc.ir.rows import rows_of, unbound
from qtnc.planner.baselines import baselines_of
from qtnc.planner.latency import LatencyMeter
from qtnc.planner.plan import Estimate, LayerPlan, Plan
from qtnc.rewrite.decision import Decision
from qtnc.rewrite.products import declined, problem_of
from qtnc.spec.program import Rewrite, Spec
from qtnc.spec.select import claims, select_layers
from qtnc.tensor.order import choose_path, path_flops
from qtnc.tensor.threads import one_thread

SLOWER = 1.1
"""Ratio of measured times from which a rewrite counts as slower than dense; below it is noise."""


@dataclass(frozen=True)
class Planned:
    """The plan, and the decisions that make the passes do just that."""

    plan: Plan
    decisions: tuple[Decision, ...]


def make_plan(model: ir.Model, spec: Spec, data: Mapping[str, DataSet], model_name: str) -> Planned:
    """Plan a compile of a canonical model.

    Raises
    ------
    SpecError
        If a selector matches nothing.
    DataError
        If the calibration data does not run.
    """
    layers = find_layers(model)
    claimed = claims(spec, select_layers(spec, layers))
    metrics = _statistics(model, layers, claimed, data)
    meter = LatencyMeter(model.graph.opset_imports[""])
    start = perf_counter()
    entries: list[LayerPlan] = []
    decisions: list[Decision] = []
    for layer in layers:
        if rules := claimed.get(layer.name):
            entry, decision = _plan_layer(layer, rules, metrics, spec, meter)
            entries.append(entry)
            decisions += [decision] if decision else []
    seconds = perf_counter() - start
    loose = unbound(model, spec.binds)
    notes = [f"symbolic axis `{axis}` is not bound; 1 is assumed (bind {axis} = ...)" for axis in loose]
    tensors = [v.const_value for v in model.graph.initializers.values() if v.const_value is not None]
    plan = Plan(
        model=model_name,
        spec=Path(spec.source.name).name,
        optimize=spec.optimize,
        binds=dict(spec.binds),
        layers=tuple(entries),
        unclaimed=len(layers) - len(entries),
        model_parameters=sum(prod(t.shape.numpy()) for t in tensors if t.dtype.is_floating_point()),
        model_bytes=sum(t.nbytes for t in tensors),
        notes=tuple(notes),
        estimate=_estimate(seconds, layers, tensors),
    )
    return Planned(plan, tuple(decisions))


def _statistics(
    model: ir.Model,
    layers: tuple[Layer, ...],
    claimed: Mapping[str, tuple[Rewrite, ...]],
    data: Mapping[str, DataSet],
) -> Mapping[tuple[str, str], NDArray[np.float64]]:
    """Covariances by (data, layer), for the layers whose winning rewrite names data."""
    found: dict[tuple[str, str], NDArray[np.float64]] = {}
    for name, samples in data.items():
        wanted = [x for x in layers if x.name in claimed and claimed[x.name][0].data == name and not declined(x)]
        if wanted:
            found |= {(name, layer): c for layer, c in covariances(model, wanted, samples).items()}
    return found


def _plan_layer(
    layer: Layer,
    rules: tuple[Rewrite, ...],
    metrics: Mapping[tuple[str, str], NDArray[np.float64]],
    spec: Spec,
    meter: LatencyMeter,
) -> tuple[LayerPlan, Decision | None]:
    rule, *overruled = rules
    rows = rows_of(layer.x, spec.binds)
    size = layer.elements
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
        "flops": 2 * rows * size,
        "dense_flops": 2 * rows * size,
        "latency": None,
        "baselines": None,
    }
    if reason := declined(layer):
        return LayerPlan(**stays, reason=f"declined: {reason}"), None
    covariance = metrics.get((rule.data, layer.name)) if rule.data else None
    problem = problem_of(layer, covariance)
    with one_thread():
        proposal = rule.structure.propose(problem)
    structure = proposal.structure
    network = structure.network(problem.shape)
    path = choose_path(network, rows)
    with one_thread():
        baselines = baselines_of(problem, network.parameters)
    becomes = stays | {
        "structure": structure.name,
        "settled": structure.settled(),
        "predicted_error": proposal.predicted_error,
        "parameters": network.parameters,
        "bytes": network.parameters * layer.dtype.itemsize,
        "flops": path_flops(network, path, rows),
        "latency": meter.measure(network, path, rows),
        "baselines": baselines,
    }
    entry = LayerPlan(**becomes, reason=proposal.reason)
    if refusal := _refusal(rule, spec.optimize, entry):
        return LayerPlan(**stays, reason=refusal), None
    return entry, Decision(layer.name, structure, covariance)


def _place(rule: Rewrite) -> str:
    """File and line of a rule; folders stay out of plans and reports."""
    return f"{Path(rule.span.source.name).name}:{rule.span.line}"


def _refusal(rule: Rewrite, optimize: str, entry: LayerPlan) -> str | None:
    """Why dense is the better choice, or None.

    What the spec fixes outright is obeyed under ``optimize memory`` even where it is larger; what it leaves to the
    planner is not. Under ``balanced`` and ``latency`` nothing is kept that is measured slower than dense.
    """
    if entry.parameters >= entry.original_parameters and rule.structure.leaves_choice:
        needed = f"{entry.parameters:,} of {entry.original_parameters:,} parameters"
        return f"dense is smaller: {entry.structure} needs {needed}"
    if optimize != "memory" and entry.latency and entry.latency.ratio > SLOWER:
        ratio = f"{entry.latency.ratio:.1f}x dense at {entry.rows:,} rows"
        return f"dense is faster: {entry.structure} measured {ratio} (`optimize memory` keeps it)"
    return None


def _estimate(seconds: float, layers: tuple[Layer, ...], tensors: list[ir.TensorProtocol]) -> Estimate:
    """Guess from what planning took: a fit sweeps longer than a trial; memory is weights plus one problem's arrays."""
    largest = max((layer.elements for layer in layers), default=0)
    return Estimate(round(2.0 * seconds, 1), sum(t.nbytes for t in tensors) + 8 * 8 * largest)
