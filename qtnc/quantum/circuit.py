"""A circuit of real two-qubit gates as a linear map on features: its counts, and its action."""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from qtnc.quantum.gates import ANGLES, CX, Angles, so4
from qtnc.quantum.layout import Pair

LARGEST: Final = 30
"""Qubits of the largest register: a row of it is 4 GB in float32."""


@dataclass(frozen=True)
class Circuit:
    """Gates in the order in which they act on a register of ``qubits``, qubit 0 the most significant bit.

    Attributes
    ----------
    pairs : the two qubits of each gate, the first the more significant bit of the gate.
    features : (M, N) of the map. M features are padded with zeros to the 2^qubits amplitudes, of which the first N
        are what comes out.
    """

    qubits: int
    pairs: tuple[Pair, ...]
    features: tuple[int, int]
    stack: ClassVar[tuple[int, ...]] = ()
    """Circuits stand alone; networks may be stacked."""

    def __post_init__(self) -> None:
        if not 0 <= self.qubits <= LARGEST:
            raise ValueError(f"a register of {self.qubits} qubits; the largest has {LARGEST}")
        if min(self.features) < 1 or max(self.features) > self.amplitudes:
            raise ValueError(f"{self.qubits} qubits do not hold the features {self.features}")
        for pair in self.pairs:
            if pair[0] == pair[1] or not all(0 <= qubit < self.qubits for qubit in pair):
                raise ValueError(f"a gate on qubits {pair} of a register of {self.qubits}")

    @property
    def amplitudes(self) -> int:
        """Length of the register's state, 2^qubits."""
        return 1 << self.qubits

    @property
    def gates(self) -> int:
        """Number of two-qubit gates."""
        return len(self.pairs)

    @property
    def parameters(self) -> int:
        """Stored numbers: six angles a gate."""
        return ANGLES * self.gates

    @property
    def cx(self) -> int:
        """CX gates on a device that connects all qubits."""
        return CX * self.gates

    @property
    def core_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of the one stored array, the angles."""
        return ((self.gates, ANGLES),)

    @property
    def moments(self) -> tuple[tuple[int, ...], ...]:
        """Numbers of the gates that act at the same time, each as early as its qubits are free."""
        free = [0] * self.qubits
        found: list[list[int]] = []
        for number, pair in enumerate(self.pairs):
            moment = max(free[qubit] for qubit in pair)
            found += [[]] if moment == len(found) else []
            found[moment].append(number)
            for qubit in pair:
                free[qubit] = moment + 1
        return tuple(map(tuple, found))

    @property
    def depth(self) -> int:
        """Layers of gates."""
        return len(self.moments)


def qubits_for(features: int) -> int:
    """Smallest register that holds a vector."""
    return (features - 1).bit_length()


def run(circuit: Circuit, angles: Angles, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Apply a circuit to rows of x, (rows, M) to (rows, N)."""
    rows, features = x.shape
    state = np.zeros((rows, circuit.amplitudes))
    state[:, :features] = x
    state = state.reshape(rows, *(2,) * circuit.qubits)
    for gate, (a, b) in zip(so4(angles), circuit.pairs, strict=True):
        state = np.tensordot(state, gate.reshape(2, 2, 2, 2), axes=((a + 1, b + 1), (2, 3)))
        state = np.moveaxis(state, (-2, -1), (a + 1, b + 1))
    return np.ascontiguousarray(state.reshape(rows, circuit.amplitudes)[:, : circuit.features[1]])


def matrix(circuit: Circuit, angles: Angles) -> NDArray[np.float64]:
    """The map as ``y = x . matrix`` reads it, (M, N)."""
    return run(circuit, angles, np.eye(circuit.features[0]))
