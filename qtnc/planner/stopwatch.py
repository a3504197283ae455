"""Two calls timed in alternation, so that whatever else the machine does falls on both."""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from statistics import median
from time import perf_counter

import numpy as np

FEWEST = 5
"""Rounds from which medians and their noise are told."""

NOTCH = 1.57
"""Interquartile ranges, over the root of the count: half a 95 % interval of a median (McGill, Tukey, Larsen 1978)."""


@dataclass(frozen=True)
class Comparison:
    """Median seconds of both, and how far their ratio may be off; None where the clock was too coarse to tell."""

    first: float
    second: float
    noise: float | None


def alternate(
    first: Callable[[], object], second: Callable[[], object], budget: float, fewest: int = FEWEST
) -> Comparison:
    """Call both in turn for ``budget`` seconds, and for ``fewest`` rounds in any case, after one that warms up."""
    taken: tuple[list[float], list[float]] = ([], [])
    end = perf_counter() + budget
    while len(taken[0]) <= fewest or perf_counter() < end:
        for call, times in zip((first, second), taken, strict=True):
            start = perf_counter()
            call()
            times.append(perf_counter() - start)
    a, b = (times[1:] for times in taken)
    return Comparison(median(a), median(b), _noise(a, b))


def _noise(first: list[float], second: list[float]) -> float | None:
    """Half the interval of the median of the ratios, round by round."""
    if min(first) <= 0.0 or len(first) < FEWEST:
        return None
    low, high = np.percentile(np.divide(second, first), (25, 75))
    return float(NOTCH * (high - low) / sqrt(len(first)))
