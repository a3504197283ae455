"""Qiskit's circuits are numpy's maps.

Both are products of a few dozen rotations in double precision: 1e-10 is ample for their rounding.
"""

import re
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.quantum_info import Operator

from qtnc.backends.qiskit.circuits import bind, compose
from qtnc.backends.torch.rotation import rotate
from qtnc.quantum.circuit import Circuit, matrix
from qtnc.quantum.layout import LAYOUTS, layers

CLOSE = 1e-10


@given(
    layout=st.sampled_from(LAYOUTS),
    features=st.tuples(st.integers(2, 128), st.integers(2, 128)),
    depth=st.integers(0, 4),
    seed=st.integers(0, 2**32 - 1),
    scale=st.sampled_from([1e-6, 1.0, 10.0]),
)
@settings(deadline=None, max_examples=40)
def test_the_operator_is_the_transposed_matrix(make_layer, layout, features, depth, seed, scale):
    layer = make_layer("up", features, layout, depth, seed, scale)
    for circuit, angles in ((layer.input, layer.input_angles), (layer.output, layer.output_angles)):
        bound = bind(compose("c", circuit.qubits, circuit.pairs), angles)
        whole = Circuit(circuit.qubits, circuit.pairs, (circuit.amplitudes, circuit.amplitudes))
        state_map = Operator(bound).data
        assert np.abs(state_map - matrix(whole, angles).T).max() < CLOSE
        rows, columns = circuit.features
        assert np.abs(state_map[:columns, :rows] - matrix(circuit, angles).T).max() < CLOSE


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("qubits", range(2, 8))
def test_the_operator_is_the_matrix_of_the_emitted_torch_code(layout, qubits):
    drawn = layers(layout, [0] * (qubits // 2) + [1] * (qubits - qubits // 2), 4)
    pairs = tuple(pair for layer in drawn for pair in layer)
    angles = torch.from_numpy(np.random.default_rng(qubits).standard_normal((len(pairs), 6)))
    rows = rotate(torch.eye(2**qubits, dtype=torch.float64), angles, pairs)
    bound = bind(compose("c", qubits, pairs), angles.numpy())
    assert np.abs(Operator(bound).data - rows.numpy().T).max() < CLOSE


@pytest.mark.parametrize("pair", [(0, 1), (1, 0), (0, 2), (2, 0)])
def test_either_qubit_may_come_first(pair):
    circuit = Circuit(3, (pair,), (8, 8))
    angles = np.random.default_rng(1).standard_normal((1, 6))
    bound = bind(compose("c", 3, circuit.pairs), angles)
    assert np.abs(Operator(bound).data - matrix(circuit, angles).T).max() < CLOSE


def test_a_gate_is_two_cx_and_six_rotations():
    circuit = compose("c", 4, [(0, 3), (2, 1), (0, 3)])
    counts = Counter(step.operation.name for step in circuit.data)
    assert counts == {"cx": 6, "rx": 6, "ry": 6, "rz": 6, "h": 6, "s": 6, "sdg": 6}
    assert circuit.global_phase == 0


def test_angles_have_the_names_of_gates():
    names = {p.name for p in compose("c", 3, [(0, 1)] * 13).parameters}
    assert names == {f"theta_{gate}_{letter}" for gate in range(13) for letter in "abcdef"}
    assert all(re.fullmatch(r"theta_\d+_[a-f]", name) for name in names)


def test_zero_angles_are_the_identity():
    bound = bind(compose("c", 2, [(0, 1)]), np.zeros((1, 6)))
    assert np.abs(Operator(bound).data - np.eye(4)).max() < CLOSE


def test_binding_keeps_the_name():
    assert bind(compose("up.input", 2, [(0, 1)]), np.ones((1, 6))).name == "up.input"


def test_angles_that_are_not_six_are_refused():
    with pytest.raises(ValueError, match="zip"):
        bind(compose("c", 2, [(0, 1)]), np.ones((1, 5)))
