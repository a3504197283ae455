"""Circuits of layer `layers.0.mlp.up`.

         qubits    gates   angles       CX
C_in          3        2       12        4
C_out         4        2       12        4

y = x . C_in . K . C_out. The 6 features of x, scaled to norm 1, are amplitudes of 3 qubits, zeros after them,
and C_in acts on those. K, a tensor network, takes them to 16 amplitudes of 4 qubits, on which C_out acts; the
first 11 that come out are y. The cores of K are in layers_0_mlp_up.safetensors. Run this file to see both
circuits.
"""

from collections.abc import Iterable, Sequence

from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

Angles = tuple[float, float, float]
# Each gate, in the order in which they act: its pair of qubits, the angles of the first, those of the second.
Table = list[tuple[tuple[int, int], Angles, Angles]]

INPUT_QUBITS = 3
INPUT: Table = [
    ((0, 1), (0.0, 0.125, 0.25),
             (0.375, 0.5, 0.625)),
    ((1, 2), (0.75, 0.875, 1.0),
             (1.125, 1.25, 1.375)),
]

OUTPUT_QUBITS = 4
OUTPUT: Table = [
    ((0, 2), (3.141592653589793, 1.5707963267948966, 1.0471975511965976),
             (0.7853981633974483, 0.6283185307179586, 0.5235987755982988)),
    ((1, 3), (0.4487989505128276, 0.39269908169872414, 0.3490658503988659),
             (0.3141592653589793, 0.28559933214452665, 0.2617993877991494)),
]


def input_circuit() -> QuantumCircuit:
    """C_in, its 12 angles open."""
    return compose("layers_0_mlp_up.input", INPUT_QUBITS, [pair for pair, _, _ in INPUT])


def output_circuit() -> QuantumCircuit:
    """C_out, its 12 angles open."""
    return compose("layers_0_mlp_up.output", OUTPUT_QUBITS, [pair for pair, _, _ in OUTPUT])


def bound() -> tuple[QuantumCircuit, QuantumCircuit]:
    """C_in and C_out with their angles."""
    tables = ((input_circuit(), INPUT), (output_circuit(), OUTPUT))
    c_in, c_out = (bind(circuit, [first + second for _, first, second in table]) for circuit, table in tables)
    return c_in, c_out


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


if __name__ == "__main__":
    for circuit in bound():
        gates = ", ".join(f"{count} {name}" for name, count in circuit.count_ops().items()) or "no gates"
        print(f"{circuit.name}: {circuit.num_qubits} qubits, depth {circuit.depth()}, {gates}")
        print(circuit.draw("text"))
