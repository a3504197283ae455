"""Circuits against Kronecker products, against qiskit, and their counts against brute force."""

from functools import reduce
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.quantum_info import Operator

from qtnc.quantum.circuit import Circuit, matrix, qubits_for, run
from qtnc.quantum.gates import ANGLES, CX, so4
from qtnc.quantum.layout import Pair

Matrix = NDArray[np.float64]

ROUNDING = 1e-12
"""Up to eight orthogonal matrices, each right to a few rounding errors, on vectors of norm at most 10."""

seeds = st.integers(0, 2**32 - 1)


@st.composite
def circuits(draw: st.DrawFn, least: int = 0) -> Circuit:
    """Up to six qubits and eight gates, any pairs either way round, any features the register holds."""
    qubits = draw(st.integers(least, 6))
    ordered = st.permutations(range(qubits)).map(lambda order: (order[0], order[1]))
    pairs = draw(st.lists(ordered, max_size=8)) if qubits > 1 else []
    size = st.integers(1, 2**qubits)
    return Circuit(qubits, tuple(pairs), (draw(size), draw(size)))


def on_register(gate: Matrix, pair: Pair, qubits: int) -> Matrix:
    """A gate as a sum over its entries: each is a product of one matrix unit a qubit, identities elsewhere."""
    found = np.zeros((2**qubits, 2**qubits))
    for row, column in product(range(4), repeat=2):
        units = [np.eye(2)] * qubits
        for place, qubit in enumerate(pair):
            shift = 1 - place  # the first qubit of a pair is the more significant bit
            units[qubit] = np.outer(np.eye(2)[row >> shift & 1], np.eye(2)[column >> shift & 1])
        found += gate[row, column] * reduce(np.kron, units)
    return found


def unitary(circuit: Circuit, angles: Matrix) -> Matrix:
    """What acts on columns: the last gate stands on the left."""
    gates = (on_register(gate, pair, circuit.qubits) for gate, pair in zip(so4(angles), circuit.pairs, strict=True))
    return np.asarray(reduce(lambda done, gate: gate @ done, gates, np.eye(circuit.amplitudes)))


def random_angles(circuit: Circuit, rng: np.random.Generator) -> Matrix:
    return np.asarray(rng.uniform(-np.pi, np.pi, (circuit.gates, ANGLES)))


@given(circuit=circuits(), rows=st.integers(0, 3), seed=seeds)
@settings(max_examples=80, deadline=None)
def test_rows_meet_the_gates_in_turn(circuit: Circuit, rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    angles = random_angles(circuit, rng)
    M, N = circuit.features
    x = rng.standard_normal((rows, M))
    # Padded with zeros, turned, cut.
    want = (unitary(circuit, angles) @ np.pad(x, ((0, 0), (0, circuit.amplitudes - M))).T).T[:, :N]
    np.testing.assert_allclose(run(circuit, angles, x), want, atol=ROUNDING)
    np.testing.assert_allclose(matrix(circuit, angles), unitary(circuit, angles).T[:M, :N], atol=ROUNDING)


@given(circuit=circuits(least=2), seed=seeds)
@settings(max_examples=20, deadline=None)
def test_qiskit_sees_the_same_circuit(circuit: Circuit, seed: int) -> None:
    angles = random_angles(circuit, np.random.default_rng(seed))
    theirs = QuantumCircuit(circuit.qubits)
    for gate, (a, b) in zip(so4(angles), circuit.pairs, strict=True):
        # Their qubit 0 is the least significant bit, and so is the first qubit of a gate.
        theirs.unitary(gate, [circuit.qubits - 1 - b, circuit.qubits - 1 - a])
    whole = Circuit(circuit.qubits, circuit.pairs, (circuit.amplitudes, circuit.amplitudes))
    np.testing.assert_allclose(matrix(whole, angles).T, Operator(theirs).data, atol=ROUNDING)


@given(circuit=circuits())
def test_counts(circuit: Circuit) -> None:
    gates = len(circuit.pairs)
    assert (circuit.gates, circuit.cx, circuit.parameters) == (gates, CX * gates, ANGLES * gates)
    assert circuit.core_shapes == ((gates, ANGLES),)
    assert circuit.amplitudes == 2**circuit.qubits


@given(circuit=circuits())
def test_depth_is_the_longest_chain_of_gates_that_share_qubits(circuit: Circuit) -> None:
    def chain(number: int) -> int:
        """Gates on the longest path that ends here."""
        before = (k for k in range(number) if set(circuit.pairs[k]) & set(circuit.pairs[number]))
        return 1 + max(map(chain, before), default=0)

    chains = [chain(number) for number in range(circuit.gates)]
    assert circuit.depth == max(chains, default=0)
    # Each gate as early as it can be.
    assert {number: place for place, moment in enumerate(circuit.moments) for number in moment} == {
        number: length - 1 for number, length in enumerate(chains)
    }


@given(features=st.integers(1, 2**20))
def test_the_register_is_the_smallest(features: int) -> None:
    qubits = qubits_for(features)
    assert features <= 2**qubits
    assert qubits == 0 or features > 2 ** (qubits - 1)


@pytest.mark.parametrize("pair", [(0, 0), (0, 3), (3, 1), (-1, 1)])
def test_a_gate_lies_on_two_qubits_of_the_register(pair: Pair) -> None:
    with pytest.raises(ValueError, match=r"a gate on qubits \(.*\) of a register of 3"):
        Circuit(3, ((0, 1), pair), (8, 8))


@pytest.mark.parametrize("features", [(9, 8), (1, 9), (0, 8), (8, -1)])
def test_features_fit_the_register(features: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="3 qubits do not hold the features"):
        Circuit(3, (), features)


@pytest.mark.parametrize("qubits", [-1, 31, 2**62])
def test_registers_have_a_bound(qubits: int) -> None:
    with pytest.raises(ValueError, match=f"a register of {qubits} qubits; the largest has 30"):
        Circuit(qubits, (), (1, 1))


def test_angles_belong_to_gates() -> None:
    with pytest.raises(ValueError, match="zip"):
        run(Circuit(2, ((0, 1),), (4, 4)), np.zeros((2, ANGLES)), np.eye(4))
