"""Circuits of SO(4) gates in Qiskit's; the functions here are also the end of every emitted file, word for word."""

from collections.abc import Iterable, Sequence

from qiskit import QuantumCircuit
from qiskit.circuit import Parameter


def compose(name: str, qubits: int, pairs: Iterable[tuple[int, int]]) -> QuantumCircuit:
    """One gate a pair, in order; the angles of gate 12 are the parameters theta_12_a to theta_12_f.

    Pairs count qubits from the most significant bit of an amplitude's number, Qiskit from the least.
    """
    circuit = QuantumCircuit(qubits, name=name)
    for gate, (first, second) in enumerate(pairs):
        angles = [Parameter(f"theta_{gate}_{letter}") for letter in "abcdef"]
        rotate(circuit, qubits - 1 - first, qubits - 1 - second, angles)
    return circuit


def rotate(circuit: QuantumCircuit, first: int, second: int, angles: Sequence[Parameter]) -> None:
    """Turn four real amplitudes: in the magic basis SO(4) is one rotation of each qubit, Rx(a) Ry(b) Rz(c)."""
    circuit.s([first, second])
    circuit.h(second)
    circuit.cx(second, first)
    for qubit, (a, b, c) in ((first, angles[:3]), (second, angles[3:])):
        circuit.rz(c, qubit)
        circuit.ry(b, qubit)
        circuit.rx(a, qubit)
    circuit.cx(second, first)
    circuit.h(second)
    circuit.sdg([first, second])


def bind(circuit: QuantumCircuit, angles: Iterable[Sequence[float]]) -> QuantumCircuit:
    """Give a circuit its angles, six a gate; in place, since a copy would get another name."""
    for gate, six in enumerate(angles):
        values = {f"theta_{gate}_{letter}": angle for letter, angle in zip("abcdef", six, strict=True)}
        circuit.assign_parameters(values, inplace=True)
    return circuit
