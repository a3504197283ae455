"""Measured latency of what stands for a weight beside the dense product, in each runtime and at several rows."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import prod
from time import perf_counter

import onnx_ir as ir

from qtnc.planner.alone import Call, Chain, in_onnxruntime, in_torch, measured_in, model_of, on_one_thread
from qtnc.planner.plan import Latency
from qtnc.planner.runtimes import ONNXRUNTIME, RUNTIMES, TORCH
from qtnc.planner.stopwatch import alternate
from qtnc.structures.cost import dense_seconds, seconds_of, width_of

ROWS = (1, 8, 128, 1024)
"""Rows at which everything is measured, besides those that the spec binds."""

MOST_ROWS = 1 << 12
"""Rows beyond which time grows with them, so that no more are measured."""

MOST_NUMBERS = 1 << 25
"""Numbers that x, y and what lies between may each have: 128 MB in float32. Wide layers are measured at fewer rows."""

LARGEST = 1 << 29
"""Bytes of a dense weight beyond which a layer is not measured: both would have to be held beside the model."""

BUDGET_SECONDS = 0.02
"""Time given to one comparison."""

TOTAL_SECONDS = 4.0
"""Time after which a plan measures only what it decides by."""

CALL_SECONDS = 3.5e-6
"""What entering a model takes, for either side, when it holds a single product."""


class LatencyMeter:
    """Measures each (chain, type, runtime, rows) once; layers of equal shape share the figure.

    Everything runs on one thread: that is told apart from other load far better than several threads are.
    """

    def __init__(self, opset: int, runtimes: Sequence[str] = (ONNXRUNTIME,)) -> None:
        """``runtimes``: those that decide, of :data:`qtnc.planner.runtimes.RUNTIMES`."""
        self.opset, self.runtimes = opset, tuple(runtimes)
        self._known: dict[tuple[str, str, str, int], Latency] = {}
        self._spent = 0.0
        self._dense = lru_cache(maxsize=2 * len(RUNTIMES))(self._opened_dense)
        self._ours: tuple[object, Call] | None = None

    def measure(self, chain: Chain, dtype: ir.DataType, rows: int) -> Latency | None:
        """Time ``x . N`` beside ``x . W`` at ``rows`` rows, in the one of the deciding runtimes where it does worst.

        None for a weight too large to be held twice.
        """
        if _too_large(chain, dtype):
            return None
        return max((self._time(chain, dtype, r, rows) for r in self.runtimes), key=lambda found: found.ratio)

    def times(self, chain: Chain, dtype: ir.DataType, rows: int) -> tuple[Latency, ...]:
        """The same in every runtime, at ``ROWS`` and ``rows``; when the time of the plan is up, what is known of it."""
        found = []
        for runtime in RUNTIMES if not _too_large(chain, dtype) else ():
            for at in sorted({_measurable(chain, r) for r in (*ROWS, rows)}):
                if self._spent < TOTAL_SECONDS or self._key(chain, dtype, runtime, at) in self._known:
                    found.append(self._time(chain, dtype, runtime, at))
        return tuple(found)

    def _time(self, chain: Chain, dtype: ir.DataType, runtime: str, rows: int) -> Latency:
        rows = _measurable(chain, rows)
        key = self._key(chain, dtype, runtime, rows)
        if key not in self._known:
            if runtime == TORCH:
                import torch  # noqa: F401 - the seconds that it takes to load are not those of a measurement
            start = perf_counter()
            self._known[key] = self._measured(chain, measured_in(runtime, dtype), runtime, rows)
            self._spent += perf_counter() - start
        return self._known[key]

    def _measured(self, chain: Chain, dtype: ir.DataType, runtime: str, rows: int) -> Latency:
        shape = _shape(chain)
        dense, ours = self._dense(shape, dtype, runtime), self._opened(chain, dtype, runtime)
        with on_one_thread(runtime):
            found = alternate(dense(rows), ours(rows), BUDGET_SECONDS)
        expected = None
        if runtime == ONNXRUNTIME:
            seconds = seconds_of(chain, rows, folded=True)
            expected = (seconds + CALL_SECONDS) / (dense_seconds(shape, rows) + CALL_SECONDS)
        dense_ms, ours_ms = 1e3 * found.first, 1e3 * found.second
        return Latency(rows, dense_ms, ours_ms, runtime, 1, dtype.numpy().name, found.noise, expected)

    def _opened(self, chain: Chain, dtype: ir.DataType, runtime: str) -> Call:
        """Ours, kept open until another is asked for."""
        wanted = repr(chain), dtype, runtime
        if self._ours is None or self._ours[0] != wanted:
            self._ours = wanted, _open(runtime)(model_of(chain, _shape(chain), dtype, self.opset))
        return self._ours[1]

    def _opened_dense(self, shape: tuple[int, ...], dtype: ir.DataType, runtime: str) -> Call:
        return _open(runtime)(model_of((), shape, dtype, self.opset))

    @staticmethod
    def _key(chain: Chain, dtype: ir.DataType, runtime: str, rows: int) -> tuple[str, str, str, int]:
        return repr(chain), dtype.name, runtime, rows


def _open(runtime: str) -> Callable[[ir.Model], Call]:
    return in_onnxruntime if runtime == ONNXRUNTIME else in_torch


def _measurable(chain: Chain, rows: int) -> int:
    """So many rows, or as many as are measured of a layer so wide."""
    widest = max(*_shape(chain)[-2:], *(width_of(product, order) for product, order in chain))
    return min(rows, MOST_ROWS, max(1, MOST_NUMBERS // widest))


def _too_large(chain: Chain, dtype: ir.DataType) -> bool:
    return prod(_shape(chain)) * dtype.itemsize > LARGEST


def _shape(chain: Chain) -> tuple[int, ...]:
    """(M, N) of the weight that a chain stands for, after the axes of a stack."""
    first, last = chain[0][0], chain[-1][0]
    return (*first.stack, first.features[0], last.features[1])
