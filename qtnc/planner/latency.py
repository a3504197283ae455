"""Measured latency of what stands for a weight beside the dense product, in onnxruntime."""

from collections.abc import Sequence
from statistics import median
from time import perf_counter

import numpy as np
import onnx_ir as ir
import onnxruntime

from qtnc.calibrate.session import session_of
from qtnc.ir.dialect import Order, Product, lowering_for
from qtnc.planner.plan import Latency
from qtnc.tensor.memory import available
from qtnc.tensor.network import TensorNetwork

DOUBLES = 8
"""Bytes of a number as it is drawn; x, y and what lies between are a few times as much."""

BUDGET_SECONDS = 0.05
"""Time given to one comparison."""

Chain = tuple[tuple[Product, Order], ...]
"""Products that x goes through in turn, each with its order."""


class LatencyMeter:
    """Measures each (chain, rows) once; layers of equal shape share the figure."""

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self._known: dict[tuple[str, int], Latency] = {}

    def measure(self, chain: Chain, rows: int) -> Latency | None:
        """Time ``x . N`` and ``x . W`` in alternation at ``rows`` rows of x and return the medians.

        None where so many rows, of which the model file says the number, are more than memory holds.
        """
        features = (chain[0][0].features[0], chain[-1][0].features[1])
        if 4 * DOUBLES * rows * sum(features) > available():
            return None
        key = (repr(chain), rows)
        if key not in self._known:
            self._known[key] = self._measure(chain, rows)
        return self._known[key]

    def _measure(self, chain: Chain, rows: int) -> Latency:
        M, N = chain[0][0].features[0], chain[-1][0].features[1]
        x = np.random.default_rng(0).standard_normal((rows, M)).astype(np.float32)
        single = TensorNetwork((("m",), ("m", "n")), ("n",), {"m": M, "n": N}, (M, N))
        sessions = self._session([(single, ((0, 1),))]), self._session(chain)
        times: tuple[list[float], list[float]] = ([], [])
        end = perf_counter() + BUDGET_SECONDS
        while len(times[0]) < 5 or perf_counter() < end:
            for session, taken in zip(sessions, times, strict=True):
                start = perf_counter()
                session.run(None, {"x": x})
                taken.append(perf_counter() - start)
        dense_ms, ours_ms = (1e3 * median(taken[1:]) for taken in times)
        return Latency(rows, dense_ms, ours_ms)

    def _session(self, chain: Sequence[tuple[Product, Order]]) -> onnxruntime.InferenceSession:
        rng = np.random.default_rng(0)
        x = y = ir.val("x", ir.DataType.FLOAT, ["rows", chain[0][0].features[0]])
        nodes: list[ir.Node] = []
        weights: list[ir.Value] = []
        for place, (product, order) in enumerate(chain):
            names = [f"weight_{place}_{k}" for k in range(len(product.core_shapes))]
            arrays = [rng.standard_normal(shape).astype(np.float32) for shape in product.core_shapes]
            values = [ir.val(n, const_value=ir.tensor(a, name=n)) for n, a in zip(names, arrays, strict=True)]
            lowering = lowering_for(product, order, lead=1, prefix=f"part_{place}/")
            y = lowering.build(y, values)
            nodes += lowering.nodes
            weights += [*values, *lowering.constants]
        y.dtype = ir.DataType.FLOAT
        opsets = {"": self.opset}
        graph = ir.Graph([x], [y], nodes=nodes, initializers=weights, opset_imports=opsets, name="product")
        return session_of(ir.Model(graph, ir_version=10))
