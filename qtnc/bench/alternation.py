"""Times in alternation: what runs in turn meets the same machine, warm or hot or busy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter

from threadpoolctl import threadpool_limits

Run = Callable[[], float]
"""Does the work once and returns the seconds that count."""


@dataclass(frozen=True)
class Timed:
    """Seconds of one form: the median, the quartiles around it, and of how many runs."""

    seconds: float
    low: float
    high: float
    runs: int


def seconds_of(work: Callable[[], object]) -> Run:
    """Time all of some work."""

    def run() -> float:
        start = perf_counter()
        work()
        return perf_counter() - start

    return run


def alternate(runs: Mapping[str, Run], budget: float, threads: int = 1, least: int = 5) -> dict[str, Timed]:
    """Run all in turn, round after round, until the budget of seconds is spent, but ``least`` rounds at any rate.

    A round before the first warms up and does not count. ``threads`` bounds what torch and numpy take.
    """
    taken: dict[str, list[float]] = {name: [] for name in runs}
    with threadpool_limits(threads):
        for run in runs.values():
            run()
        end = perf_counter() + budget
        while perf_counter() < end or len(next(iter(taken.values()))) < least:
            for name, run in runs.items():
                taken[name].append(run())
    return {name: _timed(found) for name, found in taken.items()}


def _timed(seconds: list[float]) -> Timed:
    low, _, high = quantiles(seconds, n=4, method="inclusive")
    return Timed(median(seconds), low, high, len(seconds))
