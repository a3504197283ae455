"""Seconds of a stack of networks in onnxruntime, beside the dense stack and beside one network after the other.

Eight experts of 256 x 512, each met by rows of its own. ``one by one`` splits x and puts the products of single
networks together again, as a model does that names each expert's weight. Ratios are of medians taken in alternation.
"""

from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from time import perf_counter

import numpy as np
import onnx_ir as ir
import onnxruntime

from qtnc.calibrate.session import session_of
from qtnc.ir.building import NodeBuilder
from qtnc.ir.lowering import NetworkLowering
from qtnc.report.text import table
from qtnc.structures.lowrank import LowRank
from qtnc.structures.mpo import Mpo
from qtnc.tensor.network import TensorNetwork
from qtnc.tensor.order import choose_path

EXPERTS, SHAPE = 8, (256, 512)
ROWS = (1, 16, 128)
SECONDS = 1.0
"""Time given to one comparison."""

DENSE = TensorNetwork((("m",), ("m", "n")), ("n",), {"m": SHAPE[0], "n": SHAPE[1]}, SHAPE)
NETWORKS = {
    "low rank 48": LowRank(rank=48).network(SHAPE),
    "mpo 2 sites, bond 8": Mpo(sites=((16, 32), (16, 16)), bonds=(8,)).network(SHAPE),
}


def stacked(network: TensorNetwork, rows: int) -> onnxruntime.InferenceSession:
    """All experts in one batched product a step."""
    network = replace(network, stack=(EXPERTS,))
    lowering = NetworkLowering(network, choose_path(network, EXPERTS * rows), lead=2)
    x, cores = ir.val("x", ir.DataType.FLOAT, [EXPERTS, "rows", SHAPE[0]]), _cores(network.core_shapes, "all")
    return _session(x, lowering.build(x, cores), lowering, cores)


def one_by_one(network: TensorNetwork, rows: int) -> onnxruntime.InferenceSession:
    """A product for each expert."""
    builder = NodeBuilder()
    x, parts, weights = ir.val("x", ir.DataType.FLOAT, [EXPERTS, "rows", SHAPE[0]]), [], []
    for expert in range(EXPERTS):
        own = builder.node("Slice", [x, *(builder.ints("k", [k]) for k in (expert, expert + 1, 0))])
        lowering = NetworkLowering(network, choose_path(network, rows), lead=2, prefix=f"{expert}/")
        cores = _cores(network.core_shapes, str(expert))
        parts.append(lowering.build(own, cores))
        builder.nodes += lowering.nodes
        weights += [*cores, *lowering.constants]
    return _session(x, builder.node("Concat", parts, {"axis": 0}), builder, weights)


def _cores(shapes: Sequence[tuple[int, ...]], prefix: str) -> list[ir.Value]:
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    return [ir.val(f"{prefix}_{k}", const_value=ir.tensor(a, name=f"{prefix}_{k}")) for k, a in enumerate(arrays)]


def _session(x: ir.Value, y: ir.Value, made: NodeBuilder, weights: Sequence[ir.Value]) -> onnxruntime.InferenceSession:
    y.dtype = ir.DataType.FLOAT
    constants = [*weights, *made.constants]
    graph = ir.Graph([x], [y], nodes=made.nodes, initializers=constants, opset_imports={"": 18}, name="experts")
    return session_of(ir.Model(graph, ir_version=10), threads=1)


def medians(sessions: Sequence[onnxruntime.InferenceSession], rows: int) -> list[float]:
    """Median seconds of each, in alternation."""
    x = np.random.default_rng(1).standard_normal((EXPERTS, rows, SHAPE[0])).astype(np.float32)
    times: list[list[float]] = [[] for _ in sessions]
    end = perf_counter() + SECONDS
    while perf_counter() < end or len(times[0]) < 5:
        for session, taken in zip(sessions, times, strict=True):
            start = perf_counter()
            session.run(None, {"x": x})
            taken.append(perf_counter() - start)
    return [median(taken[1:]) for taken in times]


def main() -> None:
    """Print one line a structure and number of rows."""
    lines = []
    for name, network in NETWORKS.items():
        share = network.parameters / DENSE.parameters
        for rows in ROWS:
            dense, ours, others = medians(
                [stacked(DENSE, rows), stacked(network, rows), one_by_one(network, rows)], rows
            )
            ratios = (f"{ours / dense:.2f}", f"{others / dense:.2f}", f"{ours / others:.2f}")
            lines.append([name, f"{share:.0%}", str(rows), f"{1e3 * dense:.3f} ms", *ratios])
    print(
        table(["structure", "share", "rows", "dense", "ours / dense", "one by one / dense", "ours / one by one"], lines)
    )


if __name__ == "__main__":
    main()
