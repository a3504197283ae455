"""What a sampled run takes of memory, and whether the machine has it; asked before anything starts."""

import os
from typing import Final

from qtnc.errors import BackendError, Diagnostic, printable
from qtnc.ir.circuit_layer import CircuitLayer
from qtnc.tensor.memory import available, size
from qtnc.tensor.order import choose_path, largest_intermediate

AMPLITUDE: Final = 16
"""Bytes of a complex amplitude."""

REAL: Final = 8
"""Bytes of a real number."""

GATE: Final = 4096
"""Bytes of a gate of an encoding, as Qiskit holds it and as Aer reads it; 3.2 kB were measured on 15 qubits."""

SHOT: Final = 200
"""Bytes of a shot until it is counted: Aer's sampler keeps each as a text; 170 were measured."""


def method_for(qubits: int, shots: int, noise: float) -> str:
    """How Aer simulates: with noise by the density matrix, once, unless running every shot by itself is cheaper."""
    return "density_matrix" if noise and 1 << qubits <= shots else "statevector"


def needed(layer: CircuitLayer, rows: int, shots: int, noise: float) -> int:
    """Bytes at the most: the larger stage, all of whose rows run in one batch, and K and K . C_out as matrices.

    ``shots`` are those of one stage. A stage on n qubits with its ancilla has 2^n amplitudes, or 4^n in a density
    matrix; shots run by themselves take a state each, as many at a time as there are cores. A row's encoding takes
    2^n CX and as many rotations. What K takes while it is contracted is :func:`on_the_way`.
    """
    p, q = layer.input.qubits, layer.output.qubits
    return REAL * ((1 << 2 * p) + (2 << p + q)) + max(_stage(qubits + 1, rows, shots, noise) for qubits in (p, q))


def on_the_way(layer: CircuitLayer) -> int:
    """Bytes of the two largest arrays between the cores and K."""
    rows = layer.input.amplitudes
    return 2 * REAL * largest_intermediate(layer.inner, choose_path(layer.inner, rows), rows)


def check_memory(layer: CircuitLayer, rows: int, shots: int, noise: float) -> None:
    """Refuse a run that the machine cannot hold.

    Raises
    ------
    BackendError
        With the qubits, what they take, and what there is.
    """
    need, have = needed(layer, rows, shots, noise), available()
    if need <= have:
        need += on_the_way(layer)  # last, as the search for a path through many cores takes long
    if need > have:
        qubits = max(layer.input.qubits, layer.output.qubits) + 1
        message = (
            f"layer `{printable(layer.name)}`: {qubits} qubits with the ancilla, {rows} rows and {shots} shots a stage "
            f"take about {size(need)} of memory to simulate; {size(have)} are available"
        )
        raise BackendError(Diagnostic(message, help="take fewer rows or shots, or a layer with fewer features"))


def _stage(qubits: int, rows: int, shots: int, noise: float) -> int:
    dense = method_for(qubits, shots, noise) == "density_matrix"
    states = 1 if dense or not noise else os.cpu_count() or 1
    state = AMPLITUDE * states << (2 * qubits if dense else qubits)
    return state + rows * (GATE * (2 << qubits) + SHOT * shots)
