"""How a circuit is applied to rows of features: gates fused into blocks, each a matrix on a few qubits.

With few qubits it pays to multiply all gates into one matrix, with many to fuse a handful of qubits at a time. Matrices
of constant angles are computed once, when a session is opened; their flops are counted apart from those of a call.
"""

from dataclasses import dataclass
from typing import Final

from qtnc.quantum.circuit import Circuit

Blocks = tuple[tuple[int, ...], ...]
"""Numbers of the gates in each block, in the order in which the blocks act."""

WIDTHS: Final = (2, 3, 4, 5, 6)
"""Qubits that a block may hold, besides all of them."""

WHOLE: Final = 11
"""Largest register whose whole matrix is considered: 4^11 elements are 16 MB in float32."""

FLOPS_PER_SECOND: Final = 8e10
BYTES_PER_SECOND: Final = 2e9
SECONDS_PER_BLOCK: Final = 2e-5
"""What one thread of a present CPU does, for comparing forms; benchmarks/circuits.py prints what it really does."""


@dataclass(frozen=True)
class Cost:
    """Flops of a call, flops of making the matrices (2 per multiply-add each), and estimated seconds of a call."""

    flops: int
    building: int
    seconds: float


def schedule(circuit: Circuit, rows: int) -> Blocks:
    """Cheapest blocks at ``rows`` rows, by estimated seconds."""
    widths = [*(w for w in WIDTHS if w < circuit.qubits), *([circuit.qubits] if circuit.qubits <= WHOLE else [])]
    found = dict.fromkeys(fuse(circuit, width) for width in widths or [WIDTHS[-1]])
    return min(found, key=lambda blocks: cost(circuit, blocks, rows).seconds)


def fuse(circuit: Circuit, width: int) -> Blocks:
    """Blocks of at most ``width`` qubits: each takes, in order, every gate that fits and is not held up by another."""
    waiting = list(range(circuit.gates))
    blocks = []
    while waiting:
        block: list[int] = []
        held: set[int] = set()
        qubits: set[int] = set()
        for number in waiting:
            pair = circuit.pairs[number]
            if held.isdisjoint(pair) and len(qubits.union(pair)) <= max(2, width):
                block.append(number)
                qubits.update(pair)
            else:
                held.update(pair)
        waiting = [number for number in waiting if number not in set(block)]
        blocks.append(tuple(block))
    return tuple(blocks)


def cost(circuit: Circuit, blocks: Blocks, rows: int) -> Cost:
    """Count what applying blocks to ``rows`` rows takes."""
    flops, building, seconds = 0, 0, 0.0
    for block in blocks:
        size = 1 << len(qubits_of(circuit, block))
        whole = size == circuit.amplitudes
        step = 2 * rows * circuit.amplitudes * size
        # The state is read and written once by the product, and once more where its axes must be moved.
        traffic = 4 * rows * circuit.amplitudes * (2 if whole else 4) + 4 * size * size
        flops += step
        building += len(block) * 8 * size * size
        seconds += step / FLOPS_PER_SECOND + traffic / BYTES_PER_SECOND + SECONDS_PER_BLOCK
    return Cost(flops, building, seconds)


def qubits_of(circuit: Circuit, block: tuple[int, ...]) -> tuple[int, ...]:
    """Qubits that a block acts on, rising."""
    return tuple(sorted({qubit for number in block for qubit in circuit.pairs[number]}))


def check_blocks(circuit: Circuit, blocks: Blocks) -> None:
    """Refuse blocks that are not the circuit: a gate left out or twice, or before one that it follows.

    Raises
    ------
    ValueError
        Naming the gate.
    """
    order = [number for block in blocks for number in block]
    if sorted(order) != list(range(circuit.gates)):
        raise ValueError(f"blocks hold the gates {sorted(order)}, the circuit has {circuit.gates}")
    latest = [-1] * circuit.qubits
    for number in order:
        for qubit in circuit.pairs[number]:
            if latest[qubit] > number:
                raise ValueError(f"gate {number} comes after gate {latest[qubit]}, which follows it on qubit {qubit}")
            latest[qubit] = number
