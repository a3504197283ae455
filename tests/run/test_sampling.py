"""One stage on Aer: unbiased, signed, seeded, counted; with noise, rescaled. Bounds are five deviations."""

import sys

import numpy as np
import pytest

from qtnc.errors import BackendError, MissingExtraError
from qtnc.quantum.circuit import run
from qtnc.quantum.shots import fidelity, preparation_cx
from qtnc.run.memory import method_for
from qtnc.run.sampling import read_out, require_quantum

NOISE = 3e-3


@pytest.mark.parametrize("qubits", [0, 1, 3])
def test_unbiased_and_as_far_off_as_the_law_says(make_circuit, qubits):
    circuit, angles = make_circuit(qubits)
    rng = np.random.default_rng(0)
    rows, shots, size = 80, 400, 1 << qubits
    v = np.tile(3 * rng.standard_normal(size), (rows, 1))
    error = read_out(circuit, angles, v, shots=shots, seed=1, noise=0.0).vectors - run(circuit, angles, v)
    square = np.sum(error**2, axis=1) / np.sum(v[0] ** 2)
    expected = (size - 1) / shots
    assert np.mean(square) == pytest.approx(expected, abs=5 * np.std(square) / np.sqrt(rows) + 1e-12)
    bias = np.sum(np.mean(error, axis=0) ** 2) / np.sum(v[0] ** 2)
    assert bias < 3 * expected / rows + 1e-12


def test_signs_and_order_of_amplitudes(make_circuit):
    circuit, angles = make_circuit(4, (11, 16))
    v = np.random.default_rng(1).standard_normal((3, 11))
    truth = run(circuit, angles, v)
    found = read_out(circuit, angles, v, shots=40_000, seed=2, noise=0.0).vectors
    deviation = np.linalg.norm(v, axis=1, keepdims=True) / np.sqrt(40_000)
    assert np.all(np.abs(found - truth) < 5 * deviation * np.sqrt(1 + 16 * truth**2 / 2))
    far = np.abs(truth) > 10 * deviation
    assert far.sum() > 30
    assert np.array_equal(np.sign(found[far]), np.sign(truth[far]))


def test_rows_of_zeros_take_no_circuit(make_circuit):
    circuit, angles = make_circuit(2)
    v = np.array([[0.0, 0, 0, 0], [1, 0, 0, 2], [1, 0, 0, 1]])
    scale = np.array([[1.0], [1e-200], [1e200]])  # squares of which no float64 holds
    found = read_out(circuit, angles, v * scale, shots=4000, seed=0, noise=0.0).vectors
    assert np.array_equal(found[0], np.zeros(4))
    assert np.abs(found / scale - run(circuit, angles, v)).max() < 5 * np.sqrt(5 * 3 / 4000)
    nothing = read_out(circuit, angles, np.zeros((2, 4)), shots=10, seed=0, noise=0.0)
    assert nothing.encoding.cx == 0
    assert not nothing.vectors.any()


def test_seeds(make_circuit):
    circuit, angles = make_circuit(2)
    v = np.tile([1.0, 2, 3, 4], (2, 1))
    first, again, other = (read_out(circuit, angles, v, shots=500, seed=s, noise=0.0).vectors for s in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first[0], first[1])  # one batch, and yet each row has shots of its own


@pytest.mark.parametrize("qubits", [1, 2, 4, 6])
def test_counts_are_those_of_what_runs(make_circuit, qubits):
    circuit, angles = make_circuit(qubits)
    v = np.random.default_rng(qubits).standard_normal((2, 1 << qubits))
    found = read_out(circuit, angles, v, shots=2, seed=0, noise=0.0)
    assert found.encoding.cx == preparation_cx(qubits + 1)
    assert found.encoding.depth >= found.encoding.cx
    assert found.circuit.cx <= circuit.cx
    assert found.circuit.depth >= 1  # the Hadamard gate
    assert qubits == 1 or found.circuit.cx > 0


def test_noise_takes_the_known_share_and_dividing_gives_it_back(make_circuit):
    circuit, angles = make_circuit(3)
    v = np.random.default_rng(3).standard_normal((8, 8))
    truth = run(circuit, angles, v)
    found = read_out(circuit, angles, v, shots=20_000, seed=4, noise=NOISE)
    cx = found.encoding.cx + found.circuit.cx
    assert found.fidelity == pytest.approx(np.full(8, fidelity(NOISE, cx)))
    signal = np.sum(found.vectors * truth) / np.sum(truth**2)
    undivided = np.sum(found.vectors * found.fidelity[:, None] * truth) / np.sum(truth**2)
    # Errors near the end leave part of the signal, so that the share is a little above the global model's.
    assert 1.0 - 0.01 < signal < 1.0 + NOISE * cx / 3
    assert undivided < 1.0 - NOISE * cx / 2


def test_noise_by_single_shots_agrees(make_circuit, monkeypatch):
    circuit, angles = make_circuit(1)
    v = np.array([[1.0, -2.0]])
    monkeypatch.setattr("qtnc.run.sampling.method_for", lambda *_: "statevector")
    found = read_out(circuit, angles, v, shots=4000, seed=0, noise=NOISE).vectors
    assert np.abs(found - run(circuit, angles, v)).max() < 5 * np.sqrt(5 / 4000) + 0.02


def test_how_noise_is_simulated():
    assert method_for(10, 100, 0.0) == "statevector"
    assert method_for(10, 1024, 0.01) == "density_matrix"
    assert method_for(10, 1023, 0.01) == "statevector"


def test_noise_that_leaves_nothing(make_circuit):
    circuit, angles = make_circuit(3)
    with pytest.raises(BackendError, match="leave nothing of the signal"):
        read_out(circuit, angles, np.ones((1, 8)), shots=10, seed=0, noise=0.99999)


@pytest.mark.parametrize("missing", ["qiskit", "qiskit_aer"])
def test_a_missing_extra_is_named(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtraError) as caught:
        require_quantum()
    assert 'pip install "qtnc[quantum]"' in caught.value.diagnostics[0].render()
