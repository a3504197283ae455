"""Circuit layers with random angles and cores, and folders that hold them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qtnc.backends.qiskit.emit import emit_qiskit
from qtnc.backends.qiskit.options import QiskitOptions
from qtnc.ir.circuit_layer import CircuitLayer
from qtnc.quantum.circuit import Circuit, qubits_for
from qtnc.tensor.network import TensorNetwork


@pytest.fixture(scope="session")
def make_circuit() -> Callable[..., tuple[Circuit, Any]]:
    """A ring of gates in each layer, with angles."""

    def make(qubits: int, features: tuple[int, int] | None = None, depth: int = 2, seed: int = 0) -> Any:
        ring = [(k, (k + 1) % qubits) for k in range(qubits if qubits > 1 else 0)]
        circuit = Circuit(qubits, tuple(ring * depth), features or (1 << qubits, 1 << qubits))
        return circuit, np.random.default_rng(seed).uniform(-np.pi, np.pi, (circuit.gates, 6))

    return make


@pytest.fixture(scope="session")
def make_layer(make_circuit: Callable[..., Any]) -> Callable[..., CircuitLayer]:
    """A layer whose inner network is a chain of rank 3."""

    def make(name: str = "up", features: tuple[int, int] = (6, 11), seed: int = 0) -> CircuitLayer:
        p, q = map(qubits_for, features)
        first, angles = make_circuit(p, (features[0], 1 << p), seed=seed)
        last, others = make_circuit(q, (1 << q, features[1]), seed=seed + 1)
        network = TensorNetwork.parse("m, m r, r n -> n", (1 << p, 3, 1 << q), (1 << p, 1 << q))
        rng = np.random.default_rng(seed)
        cores = tuple(rng.standard_normal(shape) for shape in network.core_shapes)
        return CircuitLayer(name, features, first, angles, last, others, network, cores)

    return make


@pytest.fixture
def emit(tmp_path: Path) -> Callable[..., Path]:
    """Write layers as the Qiskit backend does, and return the output folder."""

    def write(*layers: CircuitLayer) -> Path:
        out = tmp_path / "out"
        (out / "qiskit").mkdir(parents=True)
        emit_qiskit(layers, QiskitOptions(), out / "qiskit")
        return out

    return write


@pytest.fixture
def edit() -> Callable[..., None]:
    """Change resources.json of a folder."""

    def change(out: Path, how: Callable[[Any], Any]) -> None:
        path = out / "qiskit" / "resources.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        how(content)
        path.write_text(json.dumps(content), encoding="utf-8")

    return change


@pytest.fixture
def npz(tmp_path: Path) -> Callable[..., Path]:
    """Write arrays by their names."""

    def write(**arrays: Any) -> Path:
        path = tmp_path / "x.npz"
        np.savez(path, **arrays)
        return path

    return write
