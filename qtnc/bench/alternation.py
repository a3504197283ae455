"""Forms of a model timed in alternation, each with its quartiles."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median, quantiles

from threadpoolctl import threadpool_limits

from qtnc.planner.stopwatch import Run, rounds


@dataclass(frozen=True)
class Timed:
    """Seconds of one form: the median, the quartiles around it, and of how many runs."""

    seconds: float
    low: float
    high: float
    runs: int


def alternate(runs: Mapping[str, Run], budget: float, threads: int = 1, least: int = 5) -> dict[str, Timed]:
    """Run all in turn, round after round, until the budget of seconds is spent, but ``least`` rounds at any rate.

    A round before the first warms up and does not count. ``threads`` bounds what torch and numpy take.
    """
    with threadpool_limits(threads):
        for run in runs.values():
            run()
        taken = rounds(tuple(runs.values()), budget, least)
    return {name: _timed(found) for name, found in zip(runs, taken, strict=True)}


def _timed(seconds: list[float]) -> Timed:
    low, _, high = quantiles(seconds, n=4, method="inclusive")
    return Timed(median(seconds), low, high, len(seconds))
