"""What circuits cost, before and after transpiling: the records of resources.json."""

from typing import Any

from qiskit import QuantumCircuit

from qtnc.quantum.circuit import Circuit
from qtnc.tensor.network import TensorNetwork


def circuit_record(circuit: Circuit, bound: QuantumCircuit, twin: QuantumCircuit) -> dict[str, Any]:
    """Counts of a circuit: depth and CX of the standard gates it is written in, then those of its twin."""
    return {
        "qubits": circuit.qubits,
        "pairs": [list(pair) for pair in circuit.pairs],
        "gates": circuit.gates,
        "angles": circuit.parameters,
        "cx": bound.count_ops().get("cx", 0),
        "depth": bound.depth(),
        "transpiled": {
            "qubits": len(_used(twin, circuit.qubits)),
            "depth": twin.depth(),
            "cx": twin.count_ops().get("cx", 0),
            "two_qubit_depth": twin.depth(lambda step: step.operation.num_qubits == 2),
            "one_qubit_gates": sum(step.operation.num_qubits == 1 for step in twin.data),
        },
    }


def network_record(network: TensorNetwork) -> dict[str, Any]:
    """The tensor network between the circuits, as the IR writes it, and its stored numbers."""
    return {
        "equation": network.equation,
        "mode_sizes": list(network.mode_sizes),
        "features": list(network.features),
        "parameters": network.parameters,
    }


def _used(twin: QuantumCircuit, register: int) -> set[int]:
    """Qubits of the device that hold the register at first, or that a gate acts on."""
    placed = twin.layout.initial_index_layout(filter_ancillas=True) if twin.layout and register else range(register)
    return {*placed, *(twin.find_bit(qubit).index for step in twin.data for qubit in step.qubits)}
