"""The emitted text itself, as a file a person has read."""

import numpy as np

from qtnc.ir.circuit_layer import CircuitLayer
from qtnc.quantum.circuit import Circuit
from qtnc.tensor.network import TensorNetwork


def test_text_is_as_agreed(emit, golden):
    layer = CircuitLayer(
        "layers.0.mlp.up",
        (6, 11),
        Circuit(3, ((0, 1), (1, 2)), (6, 8)),
        np.arange(12.0).reshape(2, 6) / 8,
        Circuit(4, ((0, 2), (1, 3)), (16, 11)),
        np.pi / np.arange(1, 13).reshape(2, 6),
        TensorNetwork.parse("m, m r, r n -> n", (8, 2, 16), (8, 16)),
        (np.ones((8, 2)), np.ones((2, 16))),
    )
    folder = emit(layer, target="line")
    for name in ("layers_0_mlp_up.py", "layers_0_mlp_up.output.qasm"):
        golden(f"qiskit/{name}", (folder / name).read_text())
