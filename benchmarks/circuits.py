"""Forms of a circuit in onnxruntime beside the dense product of its size: what the cost model chooses, what is fastest.

Each line is one circuit at one number of rows on one thread; cells are median times over that of the dense product,
all forms measured in turn. A star marks the choice of ``qtnc.quantum.schedule``.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

from collections.abc import Sequence
from statistics import median
from time import perf_counter

import numpy as np
import onnx_ir as ir
import onnxruntime

from qtnc.calibrate.session import options
from qtnc.ir.dialect import Order, Product, lowering_for
from qtnc.quantum.circuit import Circuit
from qtnc.quantum.layout import layers
from qtnc.quantum.schedule import WIDTHS, fuse, schedule
from qtnc.report.text import table
from qtnc.tensor.network import TensorNetwork

ROWS = (1, 8, 128, 1024)
ROUNDS = 15


def circuit_of(qubits: int, depth: int) -> Circuit:
    """A cross circuit on a whole register."""
    drawn = layers("cross", [0] * (qubits // 2) + [1] * (qubits - qubits // 2), depth)
    return Circuit(qubits, tuple(pair for layer in drawn for pair in layer), (1 << qubits,) * 2)


def session_of(product: Product, order: Order) -> onnxruntime.InferenceSession:
    """One product as a model, on one thread."""
    rng = np.random.default_rng(0)
    x = ir.val("x", ir.DataType.FLOAT, ["rows", product.features[0]])
    arrays = [rng.standard_normal(shape).astype(np.float32) for shape in product.core_shapes]
    weights = [ir.val(f"w_{k}", const_value=ir.tensor(array, name=f"w_{k}")) for k, array in enumerate(arrays)]
    lowering = lowering_for(product, order, lead=1)
    y = lowering.build(x, weights)
    y.dtype = ir.DataType.FLOAT
    made = [*weights, *lowering.constants]
    graph = ir.Graph([x], [y], nodes=lowering.nodes, initializers=made, opset_imports={"": 18}, name="product")
    serialised = ir.to_proto(ir.Model(graph, ir_version=10)).SerializeToString()
    return onnxruntime.InferenceSession(serialised, options(threads=1), providers=["CPUExecutionProvider"])


def medians(sessions: Sequence[onnxruntime.InferenceSession], x: np.ndarray) -> list[float]:
    """Median seconds of each, run in turn."""
    taken: list[list[float]] = [[] for _ in sessions]
    for _ in range(ROUNDS + 1):
        for session, times in zip(sessions, taken, strict=True):
            start = perf_counter()
            session.run(None, {"x": x})
            times.append(perf_counter() - start)
    return [median(times[1:]) for times in taken]


def main() -> None:
    """Print a line a circuit and number of rows."""
    lines = []
    for qubits, depth in ((7, 4), (9, 4), (9, 16), (10, 4), (11, 4), (12, 4)):
        circuit = circuit_of(qubits, depth)
        size = circuit.amplitudes
        dense = TensorNetwork((("m",), ("m", "n")), ("n",), {"m": size, "n": size}, (size, size))
        forms = {str(width): fuse(circuit, width) for width in WIDTHS if width < qubits}
        forms |= {"whole": fuse(circuit, qubits)} if qubits <= 11 else {}
        sessions = [session_of(dense, ((0, 1),)), *(session_of(circuit, blocks) for blocks in forms.values())]
        for rows in ROWS:
            times = medians(sessions, np.random.default_rng(1).standard_normal((rows, size)).astype(np.float32))
            chosen = schedule(circuit, rows)
            cells = {
                name: f"{'*' if blocks == chosen else ''}{time / times[0]:.2f}"
                for (name, blocks), time in zip(forms.items(), times[1:], strict=True)
            }
            shown = [cells.get(name, "-") for name in (*map(str, WIDTHS), "whole")]
            lines.append([str(qubits), str(depth), str(circuit.gates), str(rows), f"{1e3 * times[0]:.3f}", *shown])
    header = ["qubits", "depth", "gates", "rows", "dense ms", *(f"blocks of {w}" for w in WIDTHS), "whole"]
    print(table(header, lines))


if __name__ == "__main__":
    main()
