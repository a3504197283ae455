"""Circuits on devices: how qubits are connected, and the transpiled twin of a circuit."""

from typing import Final

from qiskit import QuantumCircuit, transpile
from qiskit.transpiler import CouplingMap
from qiskit.transpiler.layout import Layout, TranspileLayout

from qtnc.backends.qiskit.target import HEAVY_HEX, Target

BASIS: Final = ("cx", "rz", "sx", "x")
LEVEL: Final = 3
SEED: Final = 0


def coupling(device: Target) -> CouplingMap | None:
    """Pairs of qubits that may share a CX, both ways; None where all may."""
    match device.kind:
        case "line":
            return CouplingMap.from_line(device.qubits)
        case "grid":
            return CouplingMap.from_grid(*device.size)
        case "heavy-hex":
            return CouplingMap.from_heavy_hex(HEAVY_HEX[device.qubits])
    return None


def twin(circuit: QuantumCircuit, device: Target) -> QuantumCircuit:
    """The same circuit on the device, up to where qubits begin and end, which its ``layout`` tells.

    Where all qubits are connected, those beyond the circuit's own would serve nothing and are left out. Level 3 drops
    what is within 1e-9 of the identity in fidelity, 7e-5 in norm: gates of angles below about 1e-4 are not exact.
    """
    found = transpile(
        circuit,
        basis_gates=list(BASIS),
        coupling_map=coupling(device),
        optimization_level=LEVEL,
        seed_transpiler=SEED,
    )
    _settle(found, circuit)
    return found


def _settle(found: QuantumCircuit, circuit: QuantumCircuit) -> None:
    """Put the qubits that no gate acts on in order on the places left, which Qiskit leaves to chance and QPY records.

    All virtual qubits become those of the twin's one register as well: QPY writes further ones in any order.
    """
    layout = found.layout
    if layout is None:
        return
    (qubits,) = found.qregs or [[]]
    first = layout.initial_index_layout() if qubits else []
    busy = {circuit.find_bit(qubit).index for step in circuit.data for qubit in step.qubits}
    places = {number: first[number] for number in sorted(busy)}
    rest = [number for number in range(len(qubits)) if number not in busy]
    places |= zip(rest, sorted({*range(len(qubits))} - {*places.values()}), strict=True)
    initial = Layout({qubits[number]: place for number, place in places.items()})
    numbers = {qubit: number for number, qubit in enumerate(qubits)}
    found._layout = TranspileLayout(initial, numbers, layout.final_layout, circuit.num_qubits, found.qubits)
