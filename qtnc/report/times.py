"""Measured times by distinct layer, for the terminal and for the reports."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from qtnc.planner.plan import Latency, Plan
from qtnc.report.becomes import becomes

MOST = 12
"""Distinct layers whose times the terminal shows; files have all."""


@dataclass(frozen=True)
class Times:
    """What layers of one shape that become the same take, in every runtime and at every number of rows."""

    shape: tuple[int, ...]
    becomes: str
    layers: int
    times: tuple[Latency, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data, ratios included."""
        times = [asdict(time) | {"ratio": time.ratio} for time in self.times]
        return {"shape": self.shape, "becomes": self.becomes, "layers": self.layers, "times": times}


def distinct(plan: Plan) -> tuple[Times, ...]:
    """Times of all layers that were measured; layers that share them are counted."""
    found: dict[tuple[tuple[int, ...], str, tuple[Latency, ...]], int] = {}
    for entry in plan.layers:
        if entry.times:
            key = entry.shape, becomes(entry), entry.times
            found[key] = found.get(key, 0) + 1
    return tuple(Times(shape, word, count, times) for (shape, word, times), count in found.items())


def rows_of_times(each: Times, counts: Sequence[int]) -> list[list[str]]:
    """A line a runtime: ours / dense in milliseconds and their ratio, at each number of rows."""
    start = ["x".join(map(str, each.shape)), each.becomes, str(each.layers)]
    lines = []
    for runtime in dict.fromkeys(time.runtime for time in each.times):
        at = {time.rows: time for time in each.times if time.runtime == runtime}
        lines.append([*start, runtime, *(_cell(at.get(count)) for count in counts)])
        start = ["", "", ""]
    return lines


def terms(found: Sequence[Times]) -> str:
    """On how many threads and in which types was measured, in words."""
    measured = [time for each in found for time in each.times]
    threads = max(time.threads for time in measured)
    return f"{threads} thread{'s' * (threads > 1)}, {', '.join(sorted({time.dtype for time in measured}))}"


def slower_than_dense(plan: Plan) -> list[str]:
    """What is kept although it is slower, and by how much; ``optimize memory`` does so."""
    kept = [entry for entry in plan.layers if entry.latency]
    slow = [entry.latency for entry in kept if entry.latency and entry.latency.slower]
    if not slow:
        return []
    worst = max(slow, key=lambda time: time.ratio)
    count = f"{len(slow)} of the {len(kept)} rewritten layers {'is' if len(slow) == 1 else 'are'} slower than dense"
    return [f"{count}, by up to {worst.ratio:.2f}x at {worst.rows:,} rows in {worst.runtime}"]


def _cell(time: Latency | None) -> str:
    return f"{time.ours_ms:.3g} / {time.dense_ms:.3g} = {time.ratio:.2f}x" if time else "-"
