"""What a layer becomes, in a few words."""

from collections.abc import Mapping
from typing import Any

from qtnc.errors import printable
from qtnc.planner.plan import LayerPlan


def becomes(entry: LayerPlan) -> str:
    """Short form of a settled structure: ``lowrank 12``, ``mpo 8x16.16x8 bonds 12``; others tell their options."""
    if entry.structure == "dense":
        return "dense"
    return _settled(entry.structure, entry.settled)


def _settled(structure: str, settled: Mapping[str, Any]) -> str:
    if structure == "circuit":
        inner = dict(settled["inner"])
        return f"{structure} {settled['layout']} {settled['depth']} | {_settled(inner.pop('structure'), inner)}"
    if structure == "lowrank":
        return f"{structure} {settled['rank']}"
    if structure == "mpo":
        sites = ".".join(f"{m}x{n}" for m, n in settled["sites"])
        return f"{structure} {sites} bonds {','.join(map(str, settled['bonds']))}"
    return printable(" ".join([structure, *(f"{option} {_written(value)}" for option, value in settled.items())]))


def _written(value: Any) -> str:
    """An option as a spec writes it: pairs as ``4x2``, in a list ``[4x2, 4x8]``."""
    if not isinstance(value, list | tuple):
        return str(value)
    pairs = all(isinstance(one, list | tuple) and len(one) == 2 for one in value)
    return f"[{', '.join('x'.join(map(str, one)) if pairs else _written(one) for one in value)}]"
