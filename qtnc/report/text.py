"""Tables for the terminal."""

from collections.abc import Sequence
from math import isfinite

from qtnc.errors import printable
from qtnc.ir.layers import Layer
from qtnc.planner.plan import LayerPlan, Plan

LEGEND = """\
params, flops: share of dense. error: relative error of the layer's output, predicted, in the metric of the rule's data.
svd: whitened SVD at equal bytes (plain without data). time: of dense in onnxruntime, measured."""


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned: the first to the left, the rest to the right unless they hold words."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(header))]
    right = [all(_numeric(row[k]) for row in rows) for k in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def inspect_table(layers: Sequence[Layer]) -> str:
    """Every layer by canonical name."""
    rows = [
        [printable(x.name), x.op, "x".join(map(str, x.shape)), x.dtype.name.lower(), f"{x.elements:,}", size(x.bytes)]
        for x in layers
    ]
    return table(["layer", "op", "weight", "dtype", "elements", "bytes"], rows)


def plan_table(plan: Plan) -> str:
    """The plan: a line a claimed layer, totals, what the compile will take."""
    header = ["layer", "weight", "rule", "becomes", "params", "bytes", "error", "svd", "int8", "int4", "flops", "time"]
    text = [table(header, [_plan_row(entry) for entry in plan.layers])]
    text.append("")
    text += [f"{printable(e.layer)}: {e.reason}" for e in plan.layers if e.structure == "dense"]
    text += [f"{printable(e.layer)}: {e.rule} wins over {', '.join(e.overruled)}" for e in plan.layers if e.overruled]
    text += [f"note: {note}" for note in plan.notes]
    text.append(_totals(plan))
    text.append(LEGEND)
    return "\n".join(text)


def _totals(plan: Plan) -> str:
    share = plan.parameters / plan.model_parameters if plan.model_parameters else 1.0
    return (
        f"parameters {plan.model_parameters:,} -> {plan.parameters:,} ({share:.1%}), "
        f"weights {size(plan.model_bytes)} -> {size(plan.bytes)}; {plan.unclaimed} layers unclaimed\n"
        f"optimize {plan.optimize}; the compile takes about {plan.estimate.seconds:.0f} s "
        f"and {size(plan.estimate.memory_bytes)} of memory"
    )


def becomes(entry: LayerPlan) -> str:
    """Short form of a settled structure: ``lowrank 12``, ``mpo 8x16.16x8 bonds 12``."""
    if entry.structure == "dense":
        return "dense"
    if "rank" in entry.settled:
        return f"{entry.structure} {entry.settled['rank']}"
    sites = ".".join(f"{m}x{n}" for m, n in entry.settled["sites"])
    return f"{entry.structure} {sites} bonds {','.join(map(str, entry.settled['bonds']))}"


def _plan_row(entry: LayerPlan) -> list[str]:
    base, time = entry.baselines, entry.latency
    svd = base and (base.whitened_svd if base.whitened_svd is not None else base.svd)
    return [
        printable(entry.layer),
        "x".join(map(str, entry.shape)),
        entry.rule,
        becomes(entry),
        f"{entry.parameters / entry.original_parameters:.1%}",
        size(entry.bytes),
        f"{entry.predicted_error:.4f}" if entry.structure != "dense" else "-",
        f"{svd:.4f}" if svd is not None else "-",
        f"{base.int8:.4f}" if base else "-",
        f"{base.int4:.4f}" if base else "-",
        f"{entry.flops / entry.dense_flops:.2f}x",
        f"{time.ratio:.2f}x" if time else "-",
    ]


def size(count: int) -> str:
    """Bytes for people: ``5.6 MB`` (powers of ten)."""
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def _numeric(cell: str) -> bool:
    text = cell.rstrip("x%").replace(",", "").split(" ")[0]
    try:
        return isfinite(float(text))
    except ValueError:
        return cell == "-"
