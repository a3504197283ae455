"""Where gates lie, and that the gates which are dropped change the operator's cores only."""

from collections.abc import Sequence
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qtnc.quantum.circuit import Circuit, matrix
from qtnc.quantum.gates import ANGLES
from qtnc.quantum.layout import LAYOUTS, Layout, Pair, layers, pruned

Matrix = NDArray[np.float64]

MERGED = 1e-12
"""Products of a few dozen orthogonal matrices lose a few dozen rounding errors."""

sites = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(
    lambda counts: tuple(site for site, count in enumerate(counts) for _ in range(count))
)
"""Site of each qubit."""

layouts = st.sampled_from(LAYOUTS)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def drawn(draw: st.DrawFn) -> tuple[tuple[int, ...], list[list[Pair]]]:
    """Any matchings on a small register with any sites: in one site or across, again and again, either way round."""
    where = draw(sites.filter(lambda s: 2 <= len(s) <= 6))
    found = []
    for _ in range(draw(st.integers(0, 5))):
        order = draw(st.permutations(range(len(where))))
        found.append([(order[2 * k], order[2 * k + 1]) for k in range(draw(st.integers(0, len(where) // 2)))])
    return where, found


def cut_of(where: Sequence[int]) -> int:
    """The boundary between sites nearest to the middle."""
    bounds = [k for k in range(1, len(where)) if where[k] != where[k - 1]]
    return min(bounds, key=lambda k: abs(k - len(where) / 2))


@given(layout=layouts, where=sites, depth=st.integers(0, 7))
def test_pairs_of_a_layer_are_disjoint_and_exist(layout: Layout, where: tuple[int, ...], depth: int) -> None:
    found = layers(layout, where, depth)
    assert len(found) <= depth
    for layer in found:
        qubits = [qubit for pair in layer for qubit in pair]
        assert layer
        assert len(set(qubits)) == len(qubits)
        assert set(qubits) <= set(range(len(where)))


@given(where=sites.filter(lambda s: len(set(s)) > 1), depth=st.integers(1, 7))
def test_gates_of_a_cross_join_the_two_sides(where: tuple[int, ...], depth: int) -> None:
    cut = cut_of(where)
    found = layers("cross", where, depth)
    assert all((a < cut) != (b < cut) for layer in found for a, b in layer)
    smaller, larger = sorted((cut, len(where) - cut))
    # All of the smaller side is used, and partners change from layer to layer for as long as there are new ones.
    assert all(len(layer) == smaller for layer in found[: min(larger, depth)])
    pairs = [frozenset(pair) for layer in found[: min(larger, depth)] for pair in layer]
    assert len(set(pairs)) == len(pairs)


@given(where=sites.filter(lambda s: len(set(s)) > 1), depth=st.integers(1, 7))
def test_gates_of_a_brickwall_join_neighbours_and_the_innermost_the_two_sides(
    where: tuple[int, ...], depth: int
) -> None:
    found = layers("brickwall", where, depth)
    assert all(b == a + 1 for layer in found for a, b in layer)
    cut = cut_of(where)
    assert (cut - 1, cut) in found[0]
    # Each layer is shifted by one.
    assert all({a % 2 for a, _ in layer} == {(cut - 1 + number) % 2} for number, layer in enumerate(found))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("where", "want"), [((), 0), ((0,), 0), ((0, 0), 0), ((0, 1), 1), ((0, 0, 0, 0), 0), ((0, 0, 1), 2)]
)
def test_the_smallest_registers(layout: Layout, where: tuple[int, ...], want: int) -> None:
    """One gate holds all that two qubits on two sites can do; one site leaves none."""
    assert sum(map(len, layers(layout, where, 2))) == want


def test_what_is_dropped() -> None:
    two = (0, 0, 1, 1)
    assert pruned([[(0, 1), (2, 3)]], two) == ()
    assert pruned([[(0, 1)], [(1, 2)]], two) == (((1, 2),),)
    # Behind a gate that joins the sites it is no change of basis in one of them.
    assert pruned([[(1, 2)], [(0, 1), (2, 3)]], two) == (((1, 2),), ((0, 1), (2, 3)))
    # Twice the same two qubits, also the other way round or with gates elsewhere in between, is once.
    assert pruned([[(1, 2)], [(2, 1)]], two) == (((1, 2),),)
    assert pruned([[(0, 2)], [(1, 3)], [(0, 2)]], two) == (((0, 2),), ((1, 3),))
    assert pruned([[(0, 2)], [(1, 2)], [(0, 2)]], two) == (((0, 2),), ((1, 2),), ((0, 2),))


@given(case=drawn())
def test_pruning_is_done_once(case: tuple[tuple[int, ...], list[list[Pair]]]) -> None:
    where, found = case
    kept = pruned(found, where)
    assert pruned(kept, where) == kept


@given(case=drawn(), seed=seeds)
@settings(max_examples=80, deadline=None)
def test_pruning_loses_nothing(case: tuple[tuple[int, ...], list[list[Pair]]], seed: int) -> None:
    where, found = case
    loses_nothing(where, found, seed)


@given(layout=layouts, where=sites.filter(lambda s: 2 <= len(s) <= 6), depth=st.integers(1, 4), seed=seeds)
@settings(max_examples=30, deadline=None)
def test_pruning_of_layouts_loses_nothing(layout: Layout, where: tuple[int, ...], depth: int, seed: int) -> None:
    # With a site for every qubit nothing is in one site, so that gates are kept but where they repeat.
    whole = layers(layout, range(len(where)), depth)
    if len(set(where)) > 1 and cut_of(where) == cut_of(range(len(where))):
        assert pruned(whole, where) == layers(layout, where, depth)
    loses_nothing(where, [list(layer) for layer in whole], seed)


def loses_nothing(where: Sequence[int], found: list[list[Pair]], seed: int) -> None:
    """All gates, with random angles, are the kept ones with other angles behind rotations within the sites."""
    rng = np.random.default_rng(seed)
    kept = [pair for layer in pruned(found, where) for pair in layer]
    whole = np.eye(2 ** len(where))
    merged: list[tuple[Pair, Matrix]] = []
    for pair in (pair for layer in found for pair in layer):
        gate = dense(len(where), pair, rng)
        whole = gate @ whole
        before = next((k for k in reversed(range(len(merged))) if set(merged[k][0]) & set(pair)), None)
        if len(merged) < len(kept) and kept[len(merged)] == pair:
            merged.append((pair, gate))
        elif before is not None and set(merged[before][0]) == set(pair):
            merged[before] = (merged[before][0], gate @ merged[before][1])
    assert [pair for pair, _ in merged] == kept
    rest = whole
    for pair, gate in reversed(merged):
        acts_on_only(gate, pair, len(where))
        rest = gate.T @ rest
    for bound in (k for k in range(1, len(where)) if where[k] != where[k - 1]):
        left, right = 2**bound, 2 ** (len(where) - bound)
        schmidt = rest.reshape(left, right, left, right).transpose(0, 2, 1, 3).reshape(left**2, right**2)
        assert np.linalg.svd(schmidt, compute_uv=False)[1] < MERGED * np.sqrt(schmidt.size)


def dense(qubits: int, pair: Pair, rng: np.random.Generator) -> Matrix:
    """A random gate on the whole register, as it acts on columns."""
    circuit = Circuit(qubits, (pair,), (2**qubits, 2**qubits))
    return matrix(circuit, rng.uniform(-np.pi, np.pi, (1, ANGLES))).T


def acts_on_only(gate: Matrix, pair: Pair, qubits: int) -> None:
    """It is a gate on two qubits: traced over the others it is 2^others times as long."""
    others = [qubit for qubit in range(qubits) if qubit not in pair]
    axes = gate.reshape((2,) * (2 * qubits)).transpose(
        [*pair, *(qubits + q for q in pair), *others, *(qubits + q for q in others)]
    )
    size = 2 ** len(others)
    inner = np.trace(axes.reshape(4, 4, size, size), axis1=2, axis2=3) / size
    np.testing.assert_allclose(inner @ inner.T, np.eye(4), atol=MERGED)


@given(
    counts=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    bond=st.integers(1, 4),
    layout=layouts,
    seed=seeds,
)
@settings(max_examples=30, deadline=None)
def test_the_bond_of_an_operator_feels_kept_gates_alone(
    counts: tuple[int, int], bond: int, layout: Layout, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    where = (0,) * counts[0] + (1,) * counts[1]
    left, right = (2**count for count in counts)
    operator = np.einsum("ijr,klr->ikjl", rng.normal(size=(left, 2, bond)), rng.normal(size=(right, 2, bond)))
    full = min(2 * left, 2 * right)

    def rank(matrix: Matrix) -> int:
        flat = matrix.reshape(left, right, 2, 2).transpose(0, 2, 1, 3).reshape(2 * left, 2 * right)
        return int(np.linalg.matrix_rank(flat, tol=1e-9 * np.linalg.norm(flat)))

    rows = operator.reshape(left * right, 4)
    inside = [(0, counts[0] - 1)] * (counts[0] > 1) + [(counts[0], sum(counts) - 1)] * (counts[1] > 1)
    assert pruned([inside], where) == ()
    for pair in inside:
        rows = dense(len(where), pair, rng) @ rows
    assert rank(rows) == min(bond, full)
    for pair in layers(layout, where, 1)[0]:
        rows = dense(len(where), pair, rng) @ rows
    # A random gate that joins the two sites has four terms.
    assert rank(rows) == min(full, bond * prod(4 for _ in layers(layout, where, 1)[0]))
