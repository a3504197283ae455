"""Measured latency of a tensor network beside the dense product, in onnxruntime."""

from statistics import median
from time import perf_counter

import numpy as np
import onnx_ir as ir
import onnxruntime
from numpy.typing import NDArray

from qtnc.calibrate.session import session_of
from qtnc.ir.lowering import NetworkLowering
from qtnc.planner.plan import Latency
from qtnc.tensor.network import TensorNetwork
from qtnc.tensor.order import Path

BUDGET_SECONDS = 0.05
"""Time given to one comparison."""


class LatencyMeter:
    """Measures each (network, path, rows) once; layers of equal shape share the figure."""

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self._known: dict[tuple[str, tuple[int, ...], Path, int], Latency] = {}

    def measure(self, network: TensorNetwork, path: Path, rows: int) -> Latency:
        """Time ``x . N`` and ``x . W`` in alternation at ``rows`` rows of x and return the medians."""
        key = (network.equation, network.mode_sizes, path, rows)
        if key not in self._known:
            self._known[key] = self._measure(network, path, rows)
        return self._known[key]

    def _measure(self, network: TensorNetwork, path: Path, rows: int) -> Latency:
        rng = np.random.default_rng(0)
        M, N = network.features
        x = rng.standard_normal((rows, M)).astype(np.float32)
        single = TensorNetwork((("m",), ("m", "n")), ("n",), {"m": M, "n": N}, (M, N))
        cores = [rng.standard_normal(shape).astype(np.float32) for shape in network.core_shapes]
        ours = self._session(network, path, cores)
        dense = self._session(single, ((0, 1),), [rng.standard_normal((M, N)).astype(np.float32)])
        times: tuple[list[float], list[float]] = ([], [])
        end = perf_counter() + BUDGET_SECONDS
        while len(times[0]) < 5 or perf_counter() < end:
            for session, taken in zip((dense, ours), times, strict=True):
                start = perf_counter()
                session.run(None, {"x": x})
                taken.append(perf_counter() - start)
        dense_ms, ours_ms = (1e3 * median(taken[1:]) for taken in times)
        return Latency(rows, dense_ms, ours_ms)

    def _session(
        self, network: TensorNetwork, path: Path, cores: list[NDArray[np.float32]]
    ) -> onnxruntime.InferenceSession:
        x = ir.val("x", ir.DataType.FLOAT, ["rows", network.features[0]])
        lowering = NetworkLowering(network, path, lead=1)
        values = [ir.val(f"core_{k}", const_value=ir.tensor(core, name=f"core_{k}")) for k, core in enumerate(cores)]
        y = lowering.build(x, values)
        y.dtype = ir.DataType.FLOAT
        graph = ir.Graph(
            [x],
            [y],
            nodes=lowering.nodes,
            initializers=[*values, *lowering.constants],
            opset_imports={"": self.opset},
            name="product",
        )
        return session_of(ir.Model(graph, ir_version=10))
