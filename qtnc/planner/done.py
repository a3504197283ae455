"""The plan as it was carried out: a pipeline may leave out the pass that would have done what was decided."""

from collections.abc import Sequence
from dataclasses import replace

import onnx_ir as ir

from qtnc.errors import printable
from qtnc.pipeline import Ran
from qtnc.planner.plan import LayerPlan, Plan
from qtnc.planner.planner import Planned
from qtnc.planner.preparing import rules_done
from qtnc.planner.totals import totals, weights_of
from qtnc.rewrite.decision import Rewritten


def plan_as_done(planned: Planned, ran: Sequence[Ran], rewritten: ir.Model, notes: Sequence[str] = ()) -> Plan:
    """The plan with notes; layers that no pass rewrote are dense in it, and then the totals are those that came out."""
    done = {note.layer for step in ran for note in step.notes if isinstance(note, Rewritten)}
    left = {x.layer: x.structure.name for x in planned.decisions if x.layer not in done}
    plan = replace(planned.plan, notes=(*planned.plan.notes, *notes), rules=rules_done(ran))
    if not left:
        return plan
    parameters, count = totals(weights_of(rewritten))
    shown = [f"`{printable(layer)}`" for layer in left]
    kept = [note for note in plan.notes if not any(name in note for name in shown)]
    told = [f"{printable(name)} stays dense: the pipeline has no pass to {word}" for name, word in left.items()]
    layers = (_dense(entry) if entry.layer in left else entry for entry in plan.layers)
    return replace(plan, layers=tuple(layers), notes=(*kept, *told), parameters=parameters, bytes=count)


def _dense(entry: LayerPlan) -> LayerPlan:
    return replace(
        entry,
        structure="dense",
        settled={},
        predicted_error=0.0,
        parameters=entry.original_parameters,
        bytes=entry.original_bytes,
        flops=entry.dense_flops,
        latency=None,
        times=(),
        baselines=None,
        circuits=None,
        shares=None,
        reason=f"left as it is: the pipeline has no pass to {entry.structure}",
    )
