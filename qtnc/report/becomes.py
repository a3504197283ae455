"""What a layer becomes, in a few words."""

from collections.abc import Mapping
from typing import Any

from qtnc.planner.plan import LayerPlan


def becomes(entry: LayerPlan) -> str:
    """Short form of a settled structure: ``lowrank 12``, ``mpo 8x16.16x8 bonds 12``."""
    if entry.structure == "dense":
        return "dense"
    return _settled(entry.structure, entry.settled)


def _settled(structure: str, settled: Mapping[str, Any]) -> str:
    if "inner" in settled:
        inner = settled["inner"]
        return f"{structure} {settled['layout']} {settled['depth']} | {_settled(inner['structure'], inner)}"
    if "rank" in settled:
        return f"{structure} {settled['rank']}"
    if "sites" in settled:
        sites = ".".join(f"{m}x{n}" for m, n in settled["sites"])
        return f"{structure} {sites} bonds {','.join(map(str, settled['bonds']))}"
    return structure
