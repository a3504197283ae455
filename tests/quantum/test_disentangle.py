"""The search for angles: what is planted is found again, nothing is lost, and the gradient is the derivative."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qtnc.quantum.circuit import Circuit, matrix
from qtnc.quantum.disentangle import Found, disentangle
from qtnc.quantum.gates import ANGLES
from qtnc.quantum.layout import LAYOUTS, Layers, Layout, layers
from qtnc.quantum.objective import Objective
from qtnc.tensor.truncate import truncated

Matrix = NDArray[np.float64]
Sides = tuple[Layers, Layers]

BOND = 4
EXACT = 1e-8
"""What counts as found; sums of squares in float64 end near 1e-12."""

SINGLE = 2e-6
"""Above a relative error of 0.05 the search is in float32, which knows its square to 1e-7: 1e-7 / (2 * 0.05)."""


def turns(shape: tuple[int, int], sides: Sides, inner: Matrix, outer: Matrix) -> tuple[Matrix, Matrix]:
    """Matrices of the two circuits as rows of x meet them: of the first, the outermost layer comes first."""
    found = []
    for size, side, angles, step in zip(shape, sides, (inner, outer), (-1, 1), strict=True):
        # Gates of one layer do not touch each other, so that all of them may be walked backwards.
        pairs = [pair for layer in side for pair in layer][::step]
        circuit = Circuit(size.bit_length() - 1, tuple(pairs), (size, size))
        found.append(matrix(circuit, angles[::step]))
    return found[0], found[1]


def svd_of(bond: int, half: tuple[int, int]) -> Callable[[Matrix], Matrix]:
    """Nearest operator of two even sites, by numpy."""

    def project(weight: Matrix) -> Matrix:
        split = weight.reshape(half[0], -1, half[1], weight.shape[1] // half[1]).transpose(0, 2, 1, 3)
        u, s, v = np.linalg.svd(split.reshape(half[0] * half[1], -1), full_matrices=False)
        nearest = ((u[:, :bond] * s[:bond]) @ v[:bond]).reshape(split.shape).transpose(0, 2, 1, 3)
        return nearest.reshape(weight.shape).astype(weight.dtype)

    return project


def even(qubits: int) -> Callable[[Matrix], Matrix]:
    half = 2 ** (qubits // 2)
    return lambda weight: truncated(weight, ((half, half), (half, half)), (BOND,))


def sides_of(layout: Layout, depth: int, qubits: tuple[int, int]) -> Sides:
    first, second = (layers(layout, [0] * (n // 2) + [1] * (n - n // 2), depth) for n in qubits)
    return first, second


def gates_of(side: Layers) -> int:
    return sum(map(len, side))


def planted(layout: Layout, depth: int, scale: float, qubits: int, seed: int) -> tuple[Matrix, Sides]:
    """An operator of bond 4 between two circuits of normal angles."""
    rng = np.random.default_rng(seed)
    sides = sides_of(layout, depth, (qubits, qubits))
    core = even(qubits)(rng.standard_normal((2**qubits, 2**qubits)))
    angles = (rng.normal(scale=scale, size=(gates_of(side), ANGLES)) for side in sides)
    left, right = turns(core.shape, sides, *angles)
    return left @ core @ right, sides


def error_of(weight: Matrix, sides: Sides, found: Found, project: Callable[[Matrix], Matrix]) -> float:
    """Measured on the whole weight: turned, truncated by numpy, turned back."""
    left, right = turns(weight.shape, sides, found.inner, found.outer)
    back = left @ project(left.T @ weight @ right.T) @ right
    return float(np.linalg.norm(weight - back) / np.linalg.norm(weight))


def recovers(layout: Layout, depth: int, scale: float, qubits: int, seed: int) -> None:
    weight, sides = planted(layout, depth, scale, qubits, seed)
    half = 2 ** (qubits // 2)
    project = svd_of(BOND, (half, half))
    # There is something to find.
    assert np.linalg.norm(weight - project(weight)) > 0.05 * np.linalg.norm(weight)
    found = disentangle(weight, sides, even(qubits), evaluations=3000)
    assert found.error < EXACT
    assert error_of(weight, sides, found, project) < EXACT


@pytest.mark.parametrize(
    ("layout", "depth", "scale"),
    [("brickwall", 1, 1.0), ("brickwall", 2, 0.3), ("brickwall", 2, 2.0), ("cross", 1, 2.0), ("cross", 2, 0.3)],
)
def test_what_was_planted_is_found(layout: Layout, depth: int, scale: float) -> None:
    recovers(layout, depth, scale, qubits=6, seed=0)


@pytest.mark.conformance
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("qubits", [6, 8])
@pytest.mark.parametrize(("layout", "depth", "scale"), list(product(LAYOUTS, (1, 2), (0.3, 1.0, 2.0))))
def test_whatever_was_planted_is_found(layout: Layout, depth: int, scale: float, qubits: int, seed: int) -> None:
    recovers(layout, depth, scale, qubits, seed)


@given(
    qubits=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    layout=st.sampled_from(LAYOUTS),
    depth=st.integers(0, 3),
    bond=st.integers(1, 3),
    evaluations=st.integers(0, 30),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=12, deadline=None)
def test_it_is_never_worse_than_no_circuit(
    qubits: tuple[int, int], layout: Layout, depth: int, bond: int, evaluations: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((2 ** qubits[0], 2 ** qubits[1]))
    if seed % 2:  # as a weight lies in its registers
        weight[rng.integers(1, len(weight) + 1) :] = 0.0
        weight[:, rng.integers(1, weight.shape[1] + 1) :] = 0.0
    sides = sides_of(layout, depth, qubits)
    project = svd_of(bond, (2 ** (qubits[0] // 2), 2 ** (qubits[1] // 2)))
    found = disentangle(weight, sides, project, seed=seed, evaluations=evaluations)
    assert found.inner.shape == (gates_of(sides[0]), ANGLES)
    assert found.outer.shape == (gates_of(sides[1]), ANGLES)
    assert np.isfinite(found.inner).all()
    assert np.isfinite(found.outer).all()
    without = np.linalg.norm(weight - project(weight)) / np.linalg.norm(weight)
    measured = error_of(weight, sides, found, project)
    assert measured <= without + SINGLE
    assert measured == pytest.approx(found.error, abs=SINGLE)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_needs_no_circuit_is_held_without_a_search(layout: Layout) -> None:
    weight = even(6)(np.random.default_rng(0).standard_normal((64, 64)))
    found = disentangle(weight, sides_of(layout, 4, (6, 6)), even(6), evaluations=0)
    # At the identity the gradient in float32 is noise, which leads the angles astray by as little.
    assert found.error < 1e-6


def test_the_same_seed_gives_the_same_bits() -> None:
    weight = np.random.default_rng(0).standard_normal((32, 32))
    sides = sides_of("cross", 2, (5, 5))
    project = svd_of(3, (4, 4))
    threads = torch.get_num_threads()
    first, second = (disentangle(weight, sides, project, seed=7, evaluations=60) for _ in range(2))
    assert first.inner.tobytes() == second.inner.tobytes()
    assert first.outer.tobytes() == second.outer.tobytes()
    assert (first.error, first.evaluations) == (second.error, second.evaluations)
    assert torch.get_num_threads() == threads


def test_the_scale_of_the_weight_does_not_matter() -> None:
    weight = np.random.default_rng(0).standard_normal((8, 8))
    sides = sides_of("brickwall", 2, (3, 3))
    found = [disentangle(scale * weight, sides, svd_of(2, (2, 2)), evaluations=40) for scale in (1.0, 2.0**-300)]
    # By a power of two, so that not a bit of the weight of norm 1 changes.
    assert found[0].inner.tobytes() == found[1].inner.tobytes()
    assert found[0].error == found[1].error


@given(
    qubits=st.tuples(st.integers(2, 4), st.integers(2, 4)),
    layout=st.sampled_from(LAYOUTS),
    depth=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=15, deadline=None)
def test_the_gradient_is_the_derivative(qubits: tuple[int, int], layout: Layout, depth: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sides = sides_of(layout, depth, qubits)
    weight = rng.standard_normal((2 ** qubits[0], 2 ** qubits[1]))
    weight[:, -rng.integers(1, 4) :] = 0.0
    weight /= np.linalg.norm(weight)
    project = svd_of(2, (2 ** (qubits[0] // 2), 2 ** (qubits[1] // 2)))
    objective = Objective(weight, project)
    angles = rng.normal(size=(gates_of(sides[0]) + gates_of(sides[1]), ANGLES))

    def distance(flat: Matrix) -> float:
        return objective.distance(flat.reshape(-1, ANGLES), sides, "float64")[0]

    value, gradient = objective.distance(angles, sides, "float64")
    left, right = turns(weight.shape, sides, angles[: gates_of(sides[0])], angles[gates_of(sides[0]) :])
    turned = left.T @ weight @ right.T
    assert value == pytest.approx(np.linalg.norm(turned - project(turned)) ** 2, abs=1e-13)
    split = turned.reshape(2 ** (qubits[0] // 2), -1, 2 ** (qubits[1] // 2), 2 ** (qubits[1] - qubits[1] // 2))
    kept = np.linalg.svd(split.transpose(0, 2, 1, 3).reshape(split.shape[0] * split.shape[2], -1), compute_uv=False)
    assume(kept[1] - kept[2] > 1e-3)  # where they meet, the projection jumps
    direction, step = rng.standard_normal(angles.size), 1e-6
    direction /= np.linalg.norm(direction)
    slope = (distance(angles.ravel() + step * direction) - distance(angles.ravel() - step * direction)) / (2 * step)
    # Truncation: step^2 times the third derivative, 1 / gap^2 at most.
    assert gradient @ direction == pytest.approx(slope, abs=1e-6)
    single, rough = objective.distance(angles, sides, "float32")
    assert single == pytest.approx(value, abs=1e-5)
    # In float32 the projection moves by 1e-7 / gap.
    np.testing.assert_allclose(rough, gradient, atol=1e-3)


def test_each_angle_has_its_derivative() -> None:
    rng = np.random.default_rng(0)
    sides = sides_of("cross", 2, (3, 4))
    weight = rng.standard_normal((8, 16))
    objective = Objective(weight / np.linalg.norm(weight), svd_of(2, (2, 4)))
    angles = rng.normal(size=(gates_of(sides[0]) + gates_of(sides[1])) * ANGLES)
    step = 1e-5
    slopes = [
        (
            objective.distance((angles + step * unit).reshape(-1, ANGLES), sides, "float64")[0]
            - objective.distance((angles - step * unit).reshape(-1, ANGLES), sides, "float64")[0]
        )
        / (2 * step)
        for unit in np.eye(angles.size)
    ]
    # Truncation step^2 and cancellation 1e-16 / step.
    np.testing.assert_allclose(objective.distance(angles.reshape(-1, ANGLES), sides, "float64")[1], slopes, atol=1e-8)


def test_a_zero_weight_has_no_error() -> None:
    sides = sides_of("cross", 2, (4, 4))
    found = disentangle(np.zeros((16, 16)), sides, svd_of(1, (4, 4)))
    assert not found.inner.any()
    assert not found.outer.any()
    assert (found.inner.shape, found.outer.shape, found.error) == ((4, ANGLES), (4, ANGLES), 0.0)


def test_without_gates_the_error_is_that_of_the_projection() -> None:
    weight = np.random.default_rng(0).standard_normal((16, 8))
    project = svd_of(2, (4, 2))
    found = disentangle(weight, ((), ()), project)
    assert (found.inner.shape, found.outer.shape) == ((0, ANGLES), (0, ANGLES))
    assert found.error == pytest.approx(np.linalg.norm(weight - project(weight)) / np.linalg.norm(weight), abs=1e-14)


def test_gates_on_one_side_alone() -> None:
    rng = np.random.default_rng(0)
    core = svd_of(1, (4, 2))(rng.standard_normal((16, 4)))
    side = layers("brickwall", (0, 0, 1, 1), 1)
    left, _ = turns(core.shape, (side, ()), rng.normal(size=(gates_of(side), ANGLES)), np.zeros((0, ANGLES)))
    found = disentangle(left @ core, (side, ()), svd_of(1, (4, 2)), evaluations=500)
    assert found.error < EXACT
