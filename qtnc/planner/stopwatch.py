"""Times in alternation: calls made in turn meet the same machine, whatever else it does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import median
from time import perf_counter

import numpy as np

FEWEST = 5
"""Rounds from which medians and their noise are told."""

NOTCH = 1.57
"""Interquartile ranges, over the root of the count: half a 95 % interval of a median (McGill, Tukey, Larsen 1978)."""


Run = Callable[[], float]
"""Does some work once, and returns the seconds that count."""


@dataclass(frozen=True)
class Comparison:
    """Median seconds of both, and how far their ratio may be off; None where the clock was too coarse to tell."""

    first: float
    second: float
    noise: float | None


def seconds_of(work: Callable[[], object]) -> Run:
    """Time all of some work."""

    def run() -> float:
        start = perf_counter()
        work()
        return perf_counter() - start

    return run


def rounds(runs: Sequence[Run], budget: float, fewest: int) -> tuple[list[float], ...]:
    """Run all in turn, round after round, for ``budget`` seconds, and for ``fewest`` rounds in any case."""
    taken: tuple[list[float], ...] = tuple([] for _ in runs)
    end = perf_counter() + budget
    while perf_counter() < end or len(taken[0]) < fewest:
        for run, times in zip(runs, taken, strict=True):
            times.append(run())
    return taken


def alternate(
    first: Callable[[], object], second: Callable[[], object], budget: float, fewest: int = FEWEST
) -> Comparison:
    """Call both in turn for ``budget`` seconds, and for ``fewest`` rounds in any case, after one that warms up."""
    a, b = (times[1:] for times in rounds((seconds_of(first), seconds_of(second)), budget, fewest + 1))
    return Comparison(median(a), median(b), _noise(a, b))


def _noise(first: list[float], second: list[float]) -> float | None:
    """Half the interval of the median of the ratios, round by round."""
    if min(first) <= 0.0 or len(first) < FEWEST:
        return None
    low, high = np.percentile(np.divide(second, first), (25, 75))
    return float(NOTCH * (high - low) / sqrt(len(first)))
