"""Tables of the tools for looking inside."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from qtnc.errors import printable, visible
from qtnc.ir.dtypes import dtype_word
from qtnc.look.check import SpecCheck
from qtnc.look.examples import Shown
from qtnc.look.facts import LayerFacts
from qtnc.look.spectra import ERRORS, Spectrum
from qtnc.look.watch import Lap
from qtnc.look.why import Why
from qtnc.planner.claim import place_of
from qtnc.report.text import rule_line, table
from qtnc.road.listing import PassEntry, PassOption
from qtnc.spec.facts import axes
from qtnc.spec.wording import clip
from qtnc.structures.listing import StructureEntry

SPECTRA_LEGEND = """\
stable rank: squared norm by squared largest singular value. rank for: smallest rank within that error, without data;
low rank is smaller than dense below `breaks even`. entropy: bits across the balanced cut, 0 for a Kronecker product."""

SHOWN = 3
"""Layers of a selector that are named."""


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
        name = printable(entry.name) if entry.usable else f"({printable(entry.name)})"
        rows.append([name, "yes" if entry.exact else "no", source, visible(entry.summary)])
        rows += [[f"  {_option(option)}", "", "", ""] for option in entry.options]
    return table(["pass", "exact", "from", "summary"], rows)


def structures_table(entries: Sequence[StructureEntry]) -> str:
    """Every structure, and a line for each of its options."""
    rows = []
    for entry in entries:
        name = printable(entry.name) if entry.usable else f"({printable(entry.name)})"
        rows.append([name, f"{entry.package} {entry.version}", entry.summary])
        rows += [[f"  {x.name}: {x.takes}", "", x.doc] for x in entry.options]
    return table(["structure", "from", "summary"], rows)


def structures_json(entries: Sequence[StructureEntry]) -> list[dict[str, Any]]:
    """The same as data."""
    return [
        {
            **{key: getattr(entry, key) for key in ("name", "summary", "usable", "package", "version")},
            "options": [{"name": x.name, "value": x.takes, "doc": x.doc} for x in entry.options],
        }
        for entry in entries
    ]


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


def check_text(found: SpecCheck) -> str:
    """A line a selector, a rule and a rewrite, or how much there is where no model was given."""
    spec, checked, shown = found.spec, found.checked, found.examples
    lines = [f"{counted(len(shown), 'example')} of rules: outputs move by {_most(shown):.2g} at most"] if shown else []
    if checked is None:
        name = visible(Path(spec.source.name).name)
        counts = [(len(spec.selects), "selector"), (len(spec.rewrites), "rewrite"), (len(spec.stages), "stage")]
        counts += [(len(spec.rules), "rule")] if spec.rules else []
        return "\n".join([*lines, f"{name}: {', '.join(counted(*count) for count in counts)}; no mistakes"])
    lines += [rule_line(done) for done in found.rules]
    lines += [f"{select}: {_chosen(names, checked.layers)}" for select, names in checked.selected.items()]
    for rewrite, names in checked.rewrites:
        many = "as many as plan finds" if names is None else counted(len(names), "layer")
        lines.append(f"{place_of(rewrite)}: {visible(clip(rewrite.span.text, 80))}: {many}")
    rest = "how many layers are left is decided by plan"
    if checked.untouched is not None:
        rest = f"{counted(checked.untouched, 'layer')} in no rewrite"
    return "\n".join([*lines, rest, *(f"note: {note}" for note in found.notes)])


def check_json(found: SpecCheck) -> dict[str, Any]:
    """The same as data; ``null`` is decided by plan."""
    spec, checked = found.spec, found.checked
    known: dict[str, Any] = {}
    if checked is not None:
        rules = [asdict(done) for done in found.rules]
        known = {"selected": dict(checked.selected), "untouched": checked.untouched, "rules": rules}
        known["notes"] = list(found.notes)
    left = [use.name for use in spec.uses if use.left]
    rewrites = [{"place": rewrite.span.place(), "selector": rewrite.selector} for rewrite in spec.rewrites]
    shown = [asdict(example) for example in found.examples]
    told = {"spec": spec.source.name, "stage": spec.stage, "rewrites": rewrites, "not_run": left, "examples": shown}
    return {**told, **known}


def _most(shown: Sequence[Shown]) -> float:
    return max(example.error for example in shown)


def _chosen(names: tuple[str, ...] | None, layers: int) -> str:
    if names is None:
        return "decided by plan, for it reads weights"
    if not names:
        return f"none of {counted(layers, 'layer')}"
    shown = ", ".join(map(printable, names[:SHOWN]))
    return f"{len(names)} of {counted(layers, 'layer')}: {shown}{', ...' if len(names) > SHOWN else ''}"


def counted(count: int, word: str) -> str:
    """A number of things: ``2 layers``, ``1 pass``."""
    return f"{count:,} {word}{'' if count == 1 else 'es' if word.endswith('s') else 's'}"
