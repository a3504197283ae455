"""The law of shots against the protocol itself, simulated: states, probabilities, multinomial counts."""

from functools import partial
from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtnc.quantum.shots import Law, fidelity, law_of, planned, preparation_cx, relative_error, shots_for

REPETITIONS = 4000
WITHIN = 0.05
"""The mean square of 4000 repetitions of 8 amplitudes and more scatters by about 1 %, its root by half of that."""

HADAMARD = np.array([[1, 1], [1, -1]]) / np.sqrt(2)


def orthogonal(size, rng):
    return np.linalg.qr(rng.standard_normal((size, size)))[0]


def outcomes(circuit, vector, left):
    """Probabilities (2, d) of a stage, by its state vector and a global depolarising channel."""
    size = len(vector)
    reference = circuit.T @ np.full(size, size**-0.5)
    state = np.kron(np.eye(2), circuit) @ np.concatenate([vector, reference]) / np.sqrt(2)
    state = np.kron(HADAMARD, np.eye(size)) @ state
    return (left * state**2 + (1 - left) / (2 * size)).reshape(2, size)


def read(circuit, vectors, shots, left, rng):
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    alone, where = np.unique(vectors / norms, axis=0, return_inverse=True)
    chances = np.array([outcomes(circuit, vector, left) for vector in alone])[where.reshape(-1)]
    counts = rng.multinomial(shots, (chances / chances.sum((1, 2), keepdims=True)).reshape(len(vectors), -1))
    zeros, ones = counts.reshape(len(vectors), 2, -1).transpose(1, 0, 2)
    return (zeros - ones) / shots * np.sqrt(len(circuit)) / left * norms


def problem(p, q, features, steep, seed=0):
    """A row, K and both circuits; a steep K has rows of very different lengths, and a lies where they are long."""
    rng = np.random.default_rng(seed)
    weights = np.exp(-steep * np.arange(1 << p) / (1 << p))
    c_in, c_out = orthogonal(1 << p, rng), orthogonal(1 << q, rng)
    x = (c_in.T @ (weights * rng.standard_normal(1 << p)))[: features[0]]
    return x, weights[:, None] * rng.standard_normal((1 << p, 1 << q)), c_in, c_out


@pytest.mark.parametrize("steep", [0, 4])
@pytest.mark.parametrize(
    ("p", "q", "features"), [(3, 3, (8, 8)), (4, 3, (11, 5)), (2, 5, (4, 32)), (3, 4, (5, 3))], ids=str
)
@pytest.mark.parametrize(("shots", "left"), [(60, (1.0, 1.0)), (2000, (1.0, 1.0)), (2000, (0.8, 0.6))])
def test_the_law_is_what_happens(p, q, features, steep, shots, left):
    x, inner, c_in, c_out = problem(p, q, features, steep)
    rng = np.random.default_rng(1)
    padded = np.zeros((REPETITIONS, 1 << p))
    padded[:, : features[0]] = x
    b = read(c_in, padded, shots // 2, left[0], rng)
    y = read(c_out, b @ inner, shots // 2, left[1], rng)[:, : features[1]]

    a = padded[:1] @ c_in.T
    outer = (inner @ c_out.T)[:, : features[1]]
    truth = a @ outer
    found = np.sqrt(np.mean(np.sum((y - truth) ** 2, axis=1)) / np.sum(truth**2))
    assert found == pytest.approx(relative_error(shots, law_of(a, inner, outer, left)), rel=WITHIN)
    # The mean of unbiased estimates is off by found / sqrt(repetitions), within a factor that 8 terms rarely double.
    assert np.linalg.norm(y.mean(0) - truth) < 2 * found * np.linalg.norm(truth) / np.sqrt(REPETITIONS)


def test_signs_come_out():
    rng = np.random.default_rng(2)
    circuit, vector = orthogonal(16, rng), rng.standard_normal((1, 16))
    found = read(circuit, vector, 1_000_000, 1.0, rng)
    truth = vector @ circuit.T
    far = np.abs(truth) > 5 * np.linalg.norm(vector) / 1000  # five deviations of an amplitude
    assert far.sum() > 12
    assert np.array_equal(np.sign(found[far]), np.sign(truth[far]))


@pytest.mark.parametrize("left", [(1.0, 1.0), (0.7, 0.9)])
def test_rows_of_one_length_and_all_amplitudes_make_it_the_planned_form(left):
    rng = np.random.default_rng(3)
    inner = rng.standard_normal((16, 8))
    inner /= np.linalg.norm(inner, axis=1, keepdims=True)
    a = rng.standard_normal((1, 16))
    gain = np.sum(inner**2) * np.sum(a**2) / np.sum((a @ inner) ** 2)
    exact, short = law_of(a, inner, inner @ orthogonal(8, rng), left), planned(16, 8, gain, left)
    assert (exact.first, exact.second) == pytest.approx((short.first, short.second), rel=1e-10)


@pytest.mark.parametrize("kept", [8, 3])
def test_many_isotropic_rows_are_what_is_planned_without_data(kept):
    rng = np.random.default_rng(4)
    a, inner = rng.standard_normal((20_000, 16)), orthogonal(16, rng)[:, :8]  # no output longer than another
    outer = (inner @ orthogonal(8, rng))[:, :kept]
    law, plan = law_of(a, inner, outer, (0.9, 0.8)), planned(16, 8, None, (0.9, 0.8))
    assert (law.first, law.second) == pytest.approx((plan.first, plan.second), rel=0.02)


def test_the_law_of_rows_is_that_of_their_errors_together():
    rng = np.random.default_rng(5)
    a, inner = rng.standard_normal((3, 8)), rng.standard_normal((8, 4))
    outer = inner[:, :3]
    weights = np.sum((a @ outer) ** 2, axis=1)
    each = [relative_error(500, law_of(row[None], inner, outer)) ** 2 for row in a]
    assert relative_error(500, law_of(a, inner, outer)) ** 2 == pytest.approx(np.average(each, weights=weights))


def test_scale_and_rows_of_zeros_change_nothing():
    rng = np.random.default_rng(6)
    a, inner = rng.standard_normal((2, 8)), rng.standard_normal((8, 4))
    law = partial(law_of, inner=inner, outer=inner)
    assert law(np.vstack([7 * a, np.zeros((1, 8))])).first == pytest.approx(law(a).first)
    assert isnan(law(np.zeros((1, 8))).first)
    assert isnan(relative_error(100, law(np.zeros((1, 8)))))


def test_a_register_of_no_qubits_is_read_without_error():
    one = np.ones((1, 1))
    assert relative_error(2, law_of(3 * one, 0.3 * one, 0.3 * one)) < 1e-7  # the root of rounding
    assert planned(1, 1) == Law(0.0, 0.0)
    assert shots_for(0.01, planned(1, 1)) == 2


@given(st.floats(1e-4, 10), st.integers(0, 12), st.integers(0, 12), st.floats(0.01, 1), st.floats(0.01, 1))
def test_shots_for_is_the_inverse(error, p, q, first, second):
    law = planned(1 << p, 1 << q, None, (first, second))
    shots = shots_for(error, law)
    assert shots % 2 == 0
    assert relative_error(shots, law) <= error * (1 + 1e-9)
    assert shots == 2 or relative_error(shots - 2, law) > error * (1 - 1e-9)


def test_error_falls_with_the_root_of_shots():
    law = planned(128, 128)
    assert relative_error(400_000, law) == pytest.approx(relative_error(100_000, law) / 2, rel=2e-3)
    assert relative_error(1_000_000, law) == pytest.approx(np.sqrt(2 * 254 / 1e6), rel=1e-3)


@pytest.mark.parametrize("error", [0.0, -0.1, float("nan")])
def test_no_shots_leave_no_error(error):
    with pytest.raises(ValueError, match="no number of shots"):
        shots_for(error, planned(4, 4))


def test_fidelity_and_preparation():
    assert fidelity(0.0, 500) == 1.0
    assert fidelity(0.01, 100) == pytest.approx(0.99**100)
    assert [preparation_cx(n) for n in (1, 2, 3, 8)] == [0, 1, 4, 247]
    assert all(preparation_cx(n) == sum(2**k - 1 for k in range(1, n)) for n in range(1, 20))
