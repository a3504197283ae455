"""Transpiled twins: the same map, in the gates of the device, on its connected pairs."""

import io
from itertools import permutations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from qiskit import qpy
from qiskit.quantum_info import Operator

from qtnc.backends.qiskit.circuits import bind, compose
from qtnc.backends.qiskit.device import BASIS, coupling, twin
from qtnc.backends.qiskit.target import Target
from qtnc.quantum.circuit import Circuit, matrix

TARGETS = ["line", "line-9q", "grid", "grid-3x3", "heavy-hex", "all-to-all", "all-to-all-9q"]
SIZES = [(1, 1), (2, 2), (7, 5), (24, 50), (100, 128)]


@pytest.fixture
def pair(make_layer):
    """Circuit, angles, bound circuit and twin."""

    def make(target, features, layout="cross", scale=np.pi):
        layer = make_layer("up", features, layout, 3, 5, scale)
        bound = bind(compose("up.output", layer.output.qubits, layer.output.pairs), layer.output_angles)
        return layer, bound, twin(bound, Target.parse(target).sized(layer.qubits))

    return make


@pytest.mark.parametrize("layout", ["brickwall", "cross"])
@pytest.mark.parametrize("features", SIZES, ids=str)
@pytest.mark.parametrize("target", TARGETS)
def test_twins_are_the_same_map(pair, on_register, target, features, layout):
    layer, _, found = pair(target, features, layout)
    register = layer.output.qubits
    state_map = on_register(found, register)
    assert np.abs(state_map.conj().T @ state_map - np.eye(1 << register)).max() < 1e-9
    assert np.abs(state_map[: features[1]] - matrix(layer.output, layer.output_angles).T).max() < 1e-9


@pytest.mark.parametrize("target", ["line", "line-9q", "grid-3x3", "all-to-all"])
def test_qiskit_undoes_the_layout_too(pair, target):
    _, bound, found = pair(target, (24, 50))
    idle = np.eye(1 << (found.num_qubits - bound.num_qubits))
    assert np.abs(Operator.from_circuit(found).data - np.kron(idle, Operator(bound).data)).max() < 1e-9


@pytest.mark.parametrize("features", SIZES, ids=str)
@pytest.mark.parametrize("target", TARGETS)
def test_twins_use_gates_and_pairs_of_the_device(pair, target, features):
    layer, _, found = pair(target, features)
    device = Target.parse(target).sized(layer.qubits)
    edges = coupling(device)
    assert found.num_qubits == (device.qubits if edges else layer.output.qubits)
    for step in found.data:
        assert step.operation.name in BASIS
        places = tuple(found.find_bit(qubit).index for qubit in step.qubits)
        assert len(places) == 1 or edges is None or places in set(edges.get_edges())


@given(
    qubits=st.integers(2, 6),
    numbers=st.lists(st.integers(0, 29), min_size=1, max_size=10),
    target=st.sampled_from(TARGETS),
)
@settings(deadline=None, max_examples=25)
@example(qubits=3, numbers=[0], target="line-9q")
@example(qubits=6, numbers=[0, 7, 1, 0, 7, 1], target="grid-3x3")
def test_qpy_of_a_twin_never_changes_and_keeps_the_map(on_register, qubits, numbers, target):
    """Also where qubits of the register idle, whose places Qiskit draws anew each time."""
    every = list(permutations(range(qubits), 2))
    circuit = Circuit(qubits, tuple(every[k % len(every)] for k in numbers), (1 << qubits, 1 << qubits))
    angles = np.random.default_rng(3).standard_normal((circuit.gates, 6))
    bound = bind(compose("c", qubits, circuit.pairs), angles)
    written = set()
    for _ in range(6):
        file = io.BytesIO()
        qpy.dump(twin(bound, Target.parse(target).sized(qubits)), file)
        written.add(file.getvalue())
    assert len(written) == 1
    (loaded,) = qpy.load(io.BytesIO(written.pop()))
    assert np.abs(on_register(loaded, qubits) - matrix(circuit, angles).T).max() < 1e-9


@pytest.mark.parametrize("scale", [1e-3, 1e-4, 1e-5, 1e-7])
def test_near_the_identity_a_gate_costs_what_the_docs_say(pair, on_register, scale):
    layer, bound, found = pair("line", (24, 50), scale=scale)
    distance = np.linalg.norm(on_register(found, bound.num_qubits) - Operator(bound).data, 2)
    assert distance < 7e-5 * layer.output.gates
