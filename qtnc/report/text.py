"""Tables for the terminal."""

from collections.abc import Sequence
from itertools import pairwise

from qtnc.errors import printable, visible
from qtnc.look.facts import LayerFacts
from qtnc.planner.plan import LayerPlan, Plan, RuleDone
from qtnc.report.becomes import becomes
from qtnc.report.times import MOST, distinct, rows_of_times, slower_than_dense, terms
from qtnc.tensor.memory import size

Columns = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Header and rows."""

LEGEND = """\
params, flops: share of dense. error: relative error of the layer's output, predicted, in the metric of the rule's data.
svd: whitened SVD at equal bytes (plain without data). time: of dense, measured, in the slower runtime."""


TIMES_LEGEND = "times: ours / dense in ms, medians in alternation,"

CIRCUIT_LEGEND = """\
circuits: input+output, the ancilla of the read-out among the qubits, all qubits connected. Shots and errors are of one
row of the layer by measuring and encoding again, both circuits together, without noise."""


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned: the first to the left, the rest to the right unless they hold words."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(header))]
    right = [k > 0 and all(_numeric(row[k]) for row in rows) for k in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def inspect_columns(layers: Sequence[LayerFacts]) -> Columns:
    """Every layer by canonical name."""
    rows = [
        [printable(x.name), x.op, "x".join(map(str, x.shape)), x.dtype.lower(), f"{x.elements:,}", size(x.bytes)]
        for x in layers
    ]
    return ["layer", "op", "weight", "dtype", "elements", "bytes"], rows


def inspect_table(layers: Sequence[LayerFacts]) -> str:
    """The same as text."""
    return table(*inspect_columns(layers))


def plan_columns(plan: Plan) -> Columns:
    """A line a claimed layer."""
    header = ["layer", "weight", "rule", "becomes", "params", "bytes", "error", "svd", "int8", "int4", "flops", "time"]
    return header, [_plan_row(entry) for entry in plan.layers]


def plan_table(plan: Plan) -> str:
    """The plan: a line a claimed layer, totals, what the compile will take."""
    text = [table(*plan_columns(plan))]
    text.append("")
    text += [f"{printable(e.layer)}: {e.reason}" for e in plan.layers if e.structure == "dense"]
    text += [f"{printable(e.layer)}: {_wins(e)}" for e in plan.layers if e.overruled]
    text += [f"{printable(x.layer)}: ignored by {printable(x.rule)}" for x in plan.ignored]
    text += [f"{key} = {printable(str(value))} by --set" for key, value in plan.settings.items()]
    text += [rule_line(done) for done in plan.rules]
    text += [f"note: {note}" for note in plan.notes]
    text += _circuits(plan)
    text += _times(plan)
    text.append(_totals(plan))
    text.append(LEGEND)
    return "\n".join(line for before, line in pairwise(["", *text]) if line or before)


def rule_line(done: RuleDone) -> str:
    """``rule fold_scale (spec.qtn:3): applied 12 times``."""
    where = f" ({printable(done.place)})" if done.place else ""
    times = {0: "never applied", 1: "applied once", 2: "applied twice"}.get(done.times, f"applied {done.times:,} times")
    return f"rule {done.rule}{where}: {times}{f'; {visible(done.nearest)}' if done.nearest else ''}"


def _totals(plan: Plan) -> str:
    unclaimed = f"{plan.unclaimed} layer{'s' * (plan.unclaimed != 1)} unclaimed"
    return (
        f"parameters {plan.model_parameters:,} -> {plan.parameters:,} ({plan.share:.1%}), "
        f"weights {size(plan.model_bytes)} -> {size(plan.bytes)}; {unclaimed}\n"
        f"{f'stage {plan.stage}; ' if plan.stage else ''}optimize {plan.optimize}; "
        f"the compile takes about {plan.estimate.seconds:.0f} s "
        f"and {size(plan.estimate.memory_bytes)} of memory"
    )


def _circuits(plan: Plan) -> list[str]:
    """A line a layer with circuits: what they take on a device, input and output circuit in turn."""
    priced = [(entry.layer, entry.circuits) for entry in plan.layers if entry.circuits]
    if not priced:
        return []
    error, shots = priced[0][1].error, priced[0][1].shots
    header = ["circuits", "qubits", "gates", "depth", "angles", "CX", "CX to encode"]
    header += [f"shots for {error:.1%}", f"error at {shots:,} shots"]
    rows = [
        [
            printable(layer),
            *("+".join(map(str, pair)) for pair in (cost.qubits, cost.gates, cost.depth)),
            str(cost.angles),
            *("+".join(map(str, pair)) for pair in (cost.cx, cost.preparation_cx)),
            f"{cost.shots_for_error:,}",
            f"{cost.error_at_shots:.1%}",
        ]
        for layer, cost in priced
    ]
    return ["", table(header, rows), CIRCUIT_LEGEND, ""]


def _times(plan: Plan) -> list[str]:
    """Ours beside dense in every runtime, a line a distinct layer."""
    found = distinct(plan)
    if not found:
        return []
    counts = sorted({time.rows for each in found for time in each.times})
    header = ["times", "becomes", "layers", "in", *(f"{count:,} row{'s' * (count > 1)}" for count in counts)]
    lines = [line for each in found[:MOST] for line in rows_of_times(each, counts)]
    more = [f"and {len(found) - MOST} more, in plan.json and the reports"] if len(found) > MOST else []
    slower = [f"note: {line}" for line in slower_than_dense(plan)]
    return ["", table(header, lines), *more, f"{TIMES_LEGEND} {terms(found)}.", *slower, ""]


def _wins(entry: LayerPlan) -> str:
    return f"{printable(entry.rule)} wins over {', '.join(map(printable, entry.overruled))}"


def _plan_row(entry: LayerPlan) -> list[str]:
    base, time = entry.baselines, entry.latency
    svd = base and (base.whitened_svd if base.whitened_svd is not None else base.svd)
    return [
        printable(entry.layer),
        "x".join(map(str, entry.shape)),
        printable(entry.rule),
        becomes(entry),
        f"{entry.share:.1%}",
        size(entry.bytes),
        f"{entry.predicted_error:.4f}" if entry.structure != "dense" else "-",
        f"{svd:.4f}" if svd is not None else "-",
        f"{base.int8:.4f}" if base else "-",
        f"{base.int4:.4f}" if base else "-",
        f"{entry.flops_share:.2f}x",
        f"{time.ratio:.2f}x" if time else "-",
    ]


def _numeric(cell: str) -> bool:
    text = cell.rstrip("x%").replace(",", "").split(" ")[0]
    try:
        float(text)
    except ValueError:
        return cell == "-"
    return True
