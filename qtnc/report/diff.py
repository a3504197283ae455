"""Two compiled folders, as a table and as data."""

from typing import Any

from qtnc.errors import printable, visible
from qtnc.look.diff import Difference, Folder
from qtnc.planner.plan import LayerPlan, finite
from qtnc.report.becomes import becomes
from qtnc.report.text import table
from qtnc.tensor.memory import size


def diff_text(found: Difference) -> str:
    """Layers that differ, then the totals of both and their ratio."""
    first, second = found.first, found.second
    rows = [_row(name, first, second) for name in found.layers]
    same = len({*first.layers, *second.layers}) - len(rows)
    lines = [table(["layer", "", "becomes", "params", "error"], [row for pair in rows for row in pair])] if rows else []
    lines.append(f"layers that are the same in both: {same:,}")
    lines += ["", table(["", _name(first), _name(second), "ratio"], _totals(first, second))]
    return "\n".join(lines)


def diff_json(found: Difference) -> dict[str, Any]:
    """The same as data; null is what is not there, or has no bound."""
    layers = [
        {"layer": name, "first": _entry(found.first, name), "second": _entry(found.second, name)}
        for name in found.layers
    ]
    return {"layers": layers, "first": _whole(found.first), "second": _whole(found.second)}


def _name(folder: Folder) -> str:
    stage = f" ({folder.plan.stage})" if folder.plan.stage else ""
    return visible(f"{folder.path}{stage}")


def _row(name: str, first: Folder, second: Folder) -> tuple[list[str], list[str]]:
    return ([printable(name), "-", *_cells(first, name)], ["", "+", *_cells(second, name)])


def _cells(folder: Folder, name: str) -> list[str]:
    entry: LayerPlan | None = folder.layers.get(name)
    if entry is None:
        return ["dense, unclaimed", "-", "-"]
    error = f"{folder.errors[name]:.4f}" if name in folder.errors else "-"
    return [becomes(entry), f"{entry.parameters:,}", error]


def _totals(first: Folder, second: Folder) -> list[list[str]]:
    rows = [_ratio("parameters", first.plan.parameters, second.plan.parameters, "{:,}".format)]
    for backend in first.sizes:
        if backend in second.sizes and backend != "original":
            rows.append(_ratio(f"{backend} on disk", first.sizes[backend], second.sizes[backend], size))
    for (data, ours), (other, theirs) in zip(first.verified, second.verified, strict=False):
        if data == other and ours is not None and theirs is not None:
            rows.append(_ratio(f"error on {printable(data)}", ours, theirs, "{:.3%}".format))
    return rows


def _ratio(name: str, ours: Any, theirs: Any, shown: Any) -> list[str]:
    return [name, shown(ours), shown(theirs), f"{theirs / ours:.3f}x" if ours else "-"]


def _entry(folder: Folder, name: str) -> dict[str, Any] | None:
    entry = folder.layers.get(name)
    if entry is None:
        return None
    facts = {"structure": entry.structure, "settled": entry.settled, "parameters": entry.parameters}
    return {**facts, "error": finite(folder.errors.get(name))}


def _whole(folder: Folder) -> dict[str, Any]:
    verified = [{"data": data, "worst": worst} for data, worst in folder.verified]
    totals = {"parameters": folder.plan.parameters, "bytes_on_disk": dict(folder.sizes), "verify": verified}
    return {"folder": str(folder.path), "stage": folder.plan.stage, **totals}
