"""Gates against matrix exponentials in the magic basis, and against all of SO(4)."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from qiskit.circuit.library import CXGate
from qiskit.synthesis import TwoQubitBasisDecomposer
from scipy.spatial.transform import Rotation

from qtnc.quantum.gates import ANGLES, CX, KERNEL, so4

Matrix = NDArray[np.float64]
Complex = NDArray[np.complex128]

PAULIS = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
MAGIC = np.array([[1, 1j, 0, 0], [0, 0, 1j, 1], [0, 0, 1j, -1], [1, -1j, 0, 0]]) / np.sqrt(2)

ROUNDING = 1e-13
"""Sums of eight products of six cosines; the cosine of an angle of 20 radians is off by 2e-15."""

angles = arrays(np.float64, (3, ANGLES), elements=st.floats(-20, 20))
seeds = st.integers(0, 2**32 - 1)


def turn(angles: Matrix) -> Complex:
    """``Rx(a) Ry(b) Rz(c)``."""
    first, second, third = (scipy.linalg.expm(-0.5j * a * p) for a, p in zip(angles, PAULIS, strict=True))
    return np.asarray(first @ second @ third)


def random_so4(rng: np.random.Generator) -> Matrix:
    """Uniform: qr with the signs that make it unique, then determinant 1."""
    q, r = np.linalg.qr(rng.standard_normal((4, 4)))
    q *= np.sign(np.diag(r))
    q[:, 0] *= np.linalg.det(q)
    return np.asarray(q)


def near_so4(rng: np.random.Generator, distance: float) -> Matrix:
    skew = rng.standard_normal((4, 4))
    return np.asarray(scipy.linalg.expm(distance * (skew - skew.T)))


def angles_of(gate: Matrix) -> Matrix:
    """Six angles of a gate: in the magic basis it is a product of two elements of SU(2), each an Euler triple."""
    local = (MAGIC @ gate @ MAGIC.conj().T).reshape(2, 2, 2, 2)
    # The first factor up to a phase: laid out with its entries as rows, a Kronecker product has rank one.
    first = np.linalg.svd(local.transpose(0, 2, 1, 3).reshape(4, 4))[0][:, 0].reshape(2, 2)
    first = first / np.sqrt(np.linalg.det(first))
    second = np.einsum("ij,ikjl->kl", first.conj(), local) / 2
    return np.concatenate([euler(first), euler(second)])


def euler(unitary: Complex) -> Matrix:
    """a, b, c of an element of SU(2), by the rotation of three axes that it stands for."""
    axes = np.einsum("aij,jk,bkl,ml->abim", PAULIS, unitary, PAULIS, unitary.conj())
    a, b, c = Rotation.from_matrix(np.trace(axes, axis1=2, axis2=3).real / 2).as_euler("XYZ")
    # Rotations do not tell an element from its negative; a full turn does.
    opposite = np.trace(turn(np.array([a, b, c])).conj().T @ unitary).real < 0
    return np.array([a + 2 * np.pi * opposite, b, c])


@given(angles)
@settings(max_examples=50, deadline=None)
def test_gates_are_rotations(angles: Matrix) -> None:
    for gate in so4(angles):
        np.testing.assert_allclose(gate @ gate.T, np.eye(4), atol=ROUNDING)
        assert np.linalg.det(gate) == pytest.approx(1.0, abs=ROUNDING)


@given(angles)
@settings(max_examples=50, deadline=None)
def test_gates_are_local_in_the_magic_basis(angles: Matrix) -> None:
    for row, gate in zip(angles, so4(angles), strict=True):
        want = MAGIC.conj().T @ np.kron(turn(row[:3]), turn(row[3:])) @ MAGIC
        np.testing.assert_allclose(gate, want, atol=ROUNDING)  # whose imaginary part is therefore rounding as well


def test_zero_angles_are_the_identity_to_the_bit() -> None:
    assert np.array_equal(so4(np.zeros((2, ANGLES))), np.broadcast_to(np.eye(4), (2, 4, 4)))
    assert so4(np.zeros((0, ANGLES))).shape == (0, 4, 4)


def test_all_six_directions_are_open_at_the_identity() -> None:
    step = 1e-5
    up, down = so4(step * np.eye(ANGLES)), so4(-step * np.eye(ANGLES))
    jacobian = ((up - down) / (2 * step)).reshape(ANGLES, 16)
    # Central differences are off by step^2 = 1e-10; the six directions are orthogonal and of equal length.
    np.testing.assert_allclose(jacobian @ jacobian.T, np.eye(ANGLES), atol=1e-9)


@given(seed=seeds, distance=st.sampled_from([1e-8, 1e-3, 0.1, 1.0]))
@settings(max_examples=60, deadline=None)
def test_every_rotation_is_reached(seed: int, distance: float) -> None:
    rng = np.random.default_rng(seed)
    for wanted in (random_so4(rng), near_so4(rng, distance)):
        # Near |b| = pi/2 the Euler triple loses half the digits: the square root of rounding.
        np.testing.assert_allclose(so4(angles_of(wanted)[None])[0], wanted, atol=1e-7)


def test_what_is_near_the_identity_has_small_angles() -> None:
    rng = np.random.default_rng(0)
    for distance in (1e-6, 1e-3):
        found = angles_of(near_so4(rng, distance))
        # A first factor of the other sign makes both of them full turns.
        found[[0, 3]] -= 2 * np.pi * (found[0] > np.pi)
        assert np.abs(found).max() < 10 * distance


def test_a_gate_costs_two_cx() -> None:
    decomposer = TwoQubitBasisDecomposer(CXGate())
    rng = np.random.default_rng(0)
    for gate in so4(rng.uniform(-np.pi, np.pi, (20, ANGLES))):
        assert decomposer.num_basis_gates(gate) == CX
        assert decomposer.num_basis_gates(gate @ np.diag([1, 1, 1, -1])) == CX + 1


def test_the_kernel_is_of_ones() -> None:
    assert set(KERNEL.ravel()) == {0.0, 1.0, -1.0}
    assert KERNEL.shape == (2**ANGLES, 16)
