"""How far two models are apart: ``|y - y'|_F / |y|_F`` for each output, over all samples."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import inf, isfinite, sqrt

import numpy as np
from numpy.typing import NDArray

from qtnc.calibrate.data import Feed

Outputs = Mapping[str, NDArray[np.generic]]
Runner = Callable[[Feed], Outputs]
"""Runs one feed and returns the outputs by name."""


def relative_errors(
    original: Runner, others: Mapping[str, Runner], feeds: Iterable[Feed]
) -> dict[str, dict[str, float]]:
    """Stream feeds through the original and the others.

    Returns
    -------
    For each of the others the relative error of each floating-point output, and for other outputs the share of
    elements that differ. An output that is missing, of another shape or dtype, or NaN anywhere is infinitely far.
    """
    sums: dict[str, dict[str, _Sum]] = {name: {} for name in others}
    for feed in feeds:
        truth = original(feed)
        for name, run in others.items():
            found = run(feed)
            for output, value in truth.items():
                sums[name].setdefault(output, _Sum()).add(value, found.get(output))
    return {name: {output: total.error for output, total in found.items()} for name, found in sums.items()}


def worst(errors: Mapping[str, float] | Iterable[float]) -> float:
    """Largest error of any output."""
    values = errors.values() if isinstance(errors, Mapping) else errors
    return max(values, default=0.0)


@dataclass
class _Sum:
    """Squares of the distance and of the norm, or elements that differ and elements, of one output."""

    distance: float = 0.0
    norm: float = 0.0
    squared: bool = True

    def add(self, truth: NDArray[np.generic], value: NDArray[np.generic] | None) -> None:
        if value is None or truth.shape != value.shape or truth.dtype != value.dtype:
            self.distance = inf
        elif not np.issubdtype(truth.dtype, np.floating):
            self.squared = False
            self.distance += np.count_nonzero(truth != value)
            self.norm += truth.size
        else:
            self._add_squares(truth.astype(np.float64), value.astype(np.float64))

    def _add_squares(self, a: NDArray[np.float64], b: NDArray[np.float64]) -> None:
        equal = a == b  # infinities too, as masks have them
        with np.errstate(over="ignore", invalid="ignore"):
            distance = float(np.sum(np.where(equal, 0.0, a - b) ** 2))
            self.norm += float(np.sum(np.where(equal & np.isinf(a), 0.0, a) ** 2))
        self.distance += distance if isfinite(distance) else inf

    @property
    def error(self) -> float:
        if self.distance == 0.0:
            return 0.0
        # A norm beyond the range of float64 would make every distance look small.
        if not (0.0 < self.norm < inf and self.distance < inf):
            return inf
        return sqrt(self.distance / self.norm) if self.squared else self.distance / self.norm
