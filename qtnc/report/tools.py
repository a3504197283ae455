"""Tables of the tools for looking inside."""

from collections.abc import Sequence
from typing import Any

from qtnc.errors import printable, visible
from qtnc.look.facts import LayerFacts
from qtnc.look.spectra import ERRORS, Spectrum
from qtnc.look.watch import Lap
from qtnc.look.why import Why
from qtnc.report.text import table
from qtnc.road.listing import PassEntry, PassOption
from qtnc.spec.facts import axes, dtype_word
from qtnc.spec.wording import clip

SPECTRA_LEGEND = """\
stable rank: squared norm by squared largest singular value. rank for: smallest rank within that error, without data;
low rank is smaller than dense below `breaks even`. entropy: bits across the balanced cut, 0 for a Kronecker product."""


def timing_table(laps: Sequence[Lap]) -> str:
    """Every stage with its seconds and its share."""
    total = sum(lap.seconds for lap in laps)
    rows = [[lap.stage, f"{lap.seconds:.3f}", f"{lap.seconds / (total or 1.0):.1%}"] for lap in laps]
    return table(["stage", "seconds", "share"], [*rows, ["total", f"{total:.3f}", "100.0%"]])


def spectra_table(layers: Sequence[LayerFacts]) -> str:
    """Every layer with the numbers that tell what will compress."""
    header = ["layer", "op", "weight", "elements", "stable rank", *(f"rank for {e:.0%}" for e in ERRORS)]
    rows = [_spectrum_row(layer, layer.spectrum or Spectrum()) for layer in layers]
    return table([*header, "breaks even", "entropy"], rows) + f"\n{SPECTRA_LEGEND}"


def _spectrum_row(layer: LayerFacts, found: Spectrum) -> list[str]:
    start = [printable(layer.name), layer.op, "x".join(map(str, layer.shape)), f"{layer.elements:,}"]
    if found.stable_rank is None or found.ranks is None or found.entropy is None:
        return [*start, *(["-"] * (3 + len(ERRORS)))]
    even = layer.elements / sum(layer.shape)
    return [*start, f"{found.stable_rank:.1f}", *map(str, found.ranks), f"{even:.1f}", f"{found.entropy:.3f}"]


def passes_table(entries: Sequence[PassEntry]) -> str:
    """Every pass, and a line for each of its options."""
    rows = []
    for entry in entries:
        source = f"{entry.package} {entry.version}" if entry.version else entry.package
        rows.append([entry.name, "yes" if entry.exact else "no", source, entry.summary])
        rows += [[f"  {_option(option)}", "", "", ""] for option in entry.options]
    return table(["pass", "exact", "from", "summary"], rows)


def _option(option: PassOption) -> str:
    return f"{option.name}: {option.type}" + (f" = {option.default}" if option.default is not None else "")


def why_text(why: Why) -> str:
    """What the layer is, a block a statement, and what comes of them."""
    layer = why.layer
    facts = f"{layer.op}, {axes(layer.shape)}, {dtype_word(layer.dtype)}, {layer.elements:,} elements"
    lines = [f"{printable(layer.name)}: {facts}", ""]
    for answer in why.answers:
        statement = visible(clip(answer.statement.text, 100))
        lines.append(f"{visible(answer.statement.place())}: {statement}")
        lines.append(f"    {'yes' if answer.holds else 'no'}{': ' if answer.reason else ''}{visible(answer.reason)}")
    return "\n".join([*lines, "", visible(why.outcome)])


def why_json(why: Why) -> dict[str, Any]:
    """The same as data."""
    answers = [
        {"place": x.statement.place(), "statement": x.statement.text, "holds": x.holds, "reason": x.reason}
        for x in why.answers
    ]
    return {"layer": why.layer.name, "answers": answers, "outcome": why.outcome}
