"""What a spec optimises: whether a layer is better left dense."""

from qtnc.planner.plan import LayerPlan
from qtnc.spec.program import Goal, Rewrite


def refusal(rule: Rewrite, goal: Goal, entry: LayerPlan) -> str | None:
    """Why dense is the better choice, or None.

    What the spec fixes outright is obeyed even where it is larger; what it leaves to the planner is not. Under
    ``balanced`` nothing is kept that is measured slower than dense, under ``latency`` only what is measured faster.
    """
    if entry.parameters >= entry.original_parameters and rule.structure.leaves_choice:
        needed = f"{entry.parameters:,} of {entry.original_parameters:,} parameters"
        return f"dense is smaller: {entry.structure} needs {needed}"
    if entry.bytes >= entry.original_bytes and rule.structure.leaves_choice:
        return f"dense is smaller: {entry.structure} needs {entry.bytes:,} of {entry.original_bytes:,} bytes"
    time = entry.latency
    if goal == "memory" or time is None:
        return None
    found = f"{entry.structure} measured {time.ratio:.2f}x dense at {time.rows:,} rows in {time.runtime}"
    if time.slower:
        return f"dense is faster: {found} (`optimize memory` keeps it)"
    if goal == "latency" and not time.faster:
        return f"dense is as fast: {found}, within noise (`optimize balanced` keeps it)"
    return None
