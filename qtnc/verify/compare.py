"""How far two models are apart: ``|y - y'|_F / |y|_F`` for each output, over all samples."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from qtnc.calibrate.data import DataSet, Feed

Outputs = Mapping[str, NDArray[np.generic]]
Runner = Callable[[Feed], Outputs]
"""Runs one feed and returns the outputs by name."""

BATCH = 8


def relative_errors(original: Runner, others: Mapping[str, Runner], data: DataSet) -> dict[str, dict[str, float]]:
    """Stream data through the original and the others.

    Returns
    -------
    For each of the others the relative error of each floating-point output, and for other outputs the share of
    elements that differ. NaN anywhere counts as infinitely far.
    """
    sums: dict[str, dict[str, NDArray[np.float64]]] = {name: {} for name in others}
    for feed in data.batches(BATCH):
        truth = original(feed)
        for name, run in others.items():
            for output, value in run(feed).items():
                total = sums[name].setdefault(output, np.zeros(2))
                total += _squares(truth[output], value)
    return {name: {output: _ratio(total) for output, total in found.items()} for name, found in sums.items()}


def worst(errors: Mapping[str, float] | Iterable[float]) -> float:
    """Largest error of any output."""
    values = errors.values() if isinstance(errors, Mapping) else errors
    return max(values, default=0.0)


def _squares(truth: NDArray[np.generic], value: NDArray[np.generic]) -> NDArray[np.float64]:
    """Square of the distance and of the norm; counts where the output is not floating-point."""
    if truth.shape != value.shape:
        return np.array([np.inf, 1.0])
    if not np.issubdtype(truth.dtype, np.floating):
        return np.array([np.count_nonzero(truth != value), truth.size], np.float64)
    a, b = truth.astype(np.float64), value.astype(np.float64)
    distance = float(np.sum((a - b) ** 2))
    return np.array([distance if np.isfinite(distance) else np.inf, np.sum(a**2)])


def _ratio(total: NDArray[np.float64]) -> float:
    distance, norm = total
    if norm == 0.0:
        return 0.0 if distance == 0.0 else float("inf")
    return float(np.sqrt(distance / norm))
