"""How a circuit is applied to rows of features: gates fused into blocks, each a matrix on a few qubits.

With few qubits it pays to multiply all gates into one matrix, with many to fuse a handful of qubits at a time. Matrices
of constant angles are computed once, when a session is opened; their flops are counted apart from those of a call.
"""

from dataclasses import dataclass
from typing import Final

from qtnc.quantum.circuit import Circuit
from qtnc.roofline import Kernel, copy, product, seconds, transposition

Blocks = tuple[tuple[int, ...], ...]
"""Numbers of the gates in each block, in the order in which the blocks act."""

WIDTHS: Final = (2, 3, 4, 5, 6)
"""Qubits that a block may hold, besides all of them."""

WHOLE: Final = 11
"""Largest register whose whole matrix is considered: 4^11 elements are 16 MB in float32."""

ROWS: Final = ""
"""The axis of the rows; qubits are called by their numbers."""


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


def cost(circuit: Circuit, blocks: Blocks, rows: int, threads: int = 1) -> Cost:
    """Count what applying blocks to ``rows`` rows takes."""
    sizes = [1 << len(qubits_of(circuit, block)) for block in blocks]
    flops = sum(2 * rows * circuit.amplitudes * size for size in sizes)
    building = sum(len(block) * 8 * size * size for block, size in zip(blocks, sizes, strict=True))
    return Cost(flops, building, seconds(kernels(circuit, blocks, rows), threads))


def kernels(circuit: Circuit, blocks: Blocks, rows: int) -> tuple[Kernel, ...]:
    """Operators of one call at ``rows`` rows; what follows from the angles alone is computed once."""
    names = tuple(map(str, range(circuit.qubits)))
    sizes = dict.fromkeys(names, 2) | {ROWS: rows}
    found = [copy(rows * circuit.amplitudes)] if circuit.amplitudes > circuit.features[0] else []
    order = names
    for block in blocks:
        held = tuple(str(qubit) for qubit in qubits_of(circuit, block))
        wanted = (*(name for name in order if name not in held), *held)
        found += transposition((ROWS, *order), (ROWS, *wanted), sizes)
        size, order = 1 << len(held), wanted
        found.append(product(rows * (circuit.amplitudes // size), size, size))
    found += transposition((ROWS, *order), (ROWS, *names), sizes)
    return (*found, *([copy(rows * circuit.amplitudes)] if circuit.amplitudes > circuit.features[1] else []))


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
