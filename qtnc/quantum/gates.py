"""Real two-qubit gates: SO(4) as six angles, two CX each.

In the magic basis the rotations of four real amplitudes are the products of two single-qubit rotations,
``G = B^H (P x Q) B`` with P, Q in SU(2) (Vatan and Williams, Phys. Rev. A 69, 032315 (2004)). Each is written as
``Rx(a) Ry(b) Rz(c)``: zero angles are the identity, and around it all six directions are open, which the triple
``Rz Ry Rz`` would not give. A gate is therefore linear in the 64 products of the half angles' cosines and sines,
and the kernel below, a constant, holds the coefficients; torch and ONNX build the gate from it in the same way.
"""

from functools import reduce
from typing import Final

import numpy as np
from numpy.typing import NDArray

Angles = NDArray[np.float64]
"""Angles in radians, (gates, 6): a, b, c of the first qubit's triple, then of the second's."""

Gates = NDArray[np.float64]
"""Orthogonal matrices of determinant 1, (gates, 4, 4); the first qubit is the more significant bit."""

ANGLES: Final = 6
"""Angles of a gate."""

CX: Final = 2
"""CX gates that a gate costs; with determinant -1 it would be three."""


def so4(angles: Angles) -> Gates:
    """Build gates (gates, 4, 4) from angles (gates, 6)."""
    halves = np.stack([np.cos(angles / 2), np.sin(angles / 2)], axis=-1)
    products = halves[:, 0]
    for k in range(1, ANGLES):
        products = (products[:, :, None] * halves[:, k, None, :]).reshape(-1, 2 << k)
    return np.asarray((products @ KERNEL).reshape(-1, 4, 4))


def _kernel() -> NDArray[np.float64]:
    """Coefficients (64, 16): a row for each choice of cos or sin, the last angle's fastest; a column for each entry."""
    magic = np.array([[1, 1j, 0, 0], [0, 0, 1j, 1], [0, 0, 1j, -1], [1, -1j, 0, 0]]) / np.sqrt(2)
    x, y, z = np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1, -1])
    # Rx(a) Ry(b) Rz(c), one factor (cos, sin) an angle: I cos(a/2) - i X sin(a/2), and so on.
    triple = [np.stack([np.eye(2), -1j * pauli]) for pauli in (x, y, z)]
    rotation = np.einsum("aij,bjk,ckl->abcil", *triple).reshape(8, 2, 2)
    pairs = np.einsum("pij,qkl->pqikjl", rotation, rotation).reshape(64, 4, 4)
    return np.asarray(np.rint(reduce(np.matmul, (magic.conj().T, pairs, magic)).real)).reshape(64, 16)


KERNEL: Final = _kernel()
"""Constant (64, 16) of 0, 1 and -1."""
