"""Layers with random angles, what they emit, and the unitary of a circuit on a device."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qiskit import QuantumCircuit, qpy
from qiskit.quantum_info import Operator

from qtnc.backends.qiskit.emit import emit_qiskit
from qtnc.backends.qiskit.options import QiskitOptions
from qtnc.ir.circuit_layer import CircuitLayer
from qtnc.quantum.circuit import Circuit, qubits_for
from qtnc.quantum.layout import layers
from qtnc.tensor.network import TensorNetwork


def make_circuit(layout: str, features: tuple[int, int], qubits: int, depth: int) -> Circuit:
    sites = [2 * k // max(1, qubits) for k in range(qubits)]
    pairs = tuple(pair for layer in layers(layout, sites, depth) for pair in layer)
    return Circuit(qubits, pairs, features)


@pytest.fixture(scope="session")
def make_layer() -> Callable[..., CircuitLayer]:
    """A layer of two circuits and a rank-2 network; angles are uniform in +-``scale``."""

    def make(
        name: str = "up",
        features: tuple[int, int] = (6, 11),
        layout: str = "cross",
        depth: int = 2,
        seed: int = 0,
        scale: float = np.pi,
    ) -> CircuitLayer:
        rng = np.random.default_rng(seed)
        p, q = qubits_for(features[0]), qubits_for(features[1])
        c_in = make_circuit(layout, (features[0], 1 << p), p, depth)
        c_out = make_circuit(layout, (1 << q, features[1]), q, depth)
        network = TensorNetwork.parse("m, m r, r n -> n", (1 << p, 2, 1 << q), (1 << p, 1 << q))
        return CircuitLayer(
            name,
            features,
            c_in,
            rng.uniform(-scale, scale, (c_in.gates, 6)),
            c_out,
            rng.uniform(-scale, scale, (c_out.gates, 6)),
            network,
            tuple(rng.standard_normal(shape) for shape in network.core_shapes),
        )

    return make


@pytest.fixture
def emit(tmp_path: Path) -> Callable[..., Path]:
    """Emit layers into a fresh folder."""

    def run(*emitted: CircuitLayer, **options: Any) -> Path:
        folder = tmp_path / f"qiskit{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        emit_qiskit(emitted, QiskitOptions(**options), folder)
        return folder

    return run


@pytest.fixture(scope="session")
def load_qpy() -> Callable[[Path], list[QuantumCircuit]]:
    """Circuits of a QPY file."""

    def load(path: Path) -> list[QuantumCircuit]:
        with path.open("rb") as file:
            return list(qpy.load(file))

    return load


@pytest.fixture(scope="session")
def on_register() -> Callable[[QuantumCircuit, int], Any]:
    """What a transpiled circuit does to the register, by its layout; other qubits of the device begin and end at 0."""

    def unitary(twin: QuantumCircuit, register: int) -> Any:
        start = end = list(range(register))
        if twin.layout is not None and register:
            start = twin.layout.initial_index_layout(filter_ancillas=True)
            end = twin.layout.final_index_layout(filter_ancillas=True)
        touched = {twin.find_bit(qubit).index for step in twin.data for qubit in step.qubits}
        held = sorted({*start, *end, *touched})
        small = QuantumCircuit(len(held), global_phase=twin.global_phase)
        for step in twin.data:
            small.append(step.operation, [held.index(twin.find_bit(qubit).index) for qubit in step.qubits])
        columns, rows = (
            [sum((k >> v & 1) << held.index(place) for v, place in enumerate(places)) for k in range(1 << register)]
            for places in (start, end)
        )
        return Operator(small).data[np.ix_(rows, columns)]

    return unitary
