"""How gates are fused: every block list is the circuit, and costs what an independent count says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtnc.quantum.circuit import Circuit, matrix
from qtnc.quantum.gates import ANGLES
from qtnc.quantum.schedule import WHOLE, WIDTHS, Blocks, check_blocks, cost, fuse, qubits_of, schedule


@st.composite
def circuits(draw: st.DrawFn, most: int = 9) -> Circuit:
    qubits = draw(st.integers(2, most))
    ordered = st.permutations(range(qubits)).map(lambda order: (order[0], order[1]))
    return Circuit(qubits, tuple(draw(st.lists(ordered, max_size=20))), (2**qubits, 2**qubits))


@given(circuit=circuits(), width=st.integers(1, 10))
@settings(max_examples=100, deadline=None)
def test_blocks_hold_every_gate_once_in_order_and_no_more_qubits(circuit: Circuit, width: int) -> None:
    blocks = fuse(circuit, width)
    check_blocks(circuit, blocks)
    order = [number for block in blocks for number in block]
    assert sorted(order) == list(range(circuit.gates))
    for later, number in enumerate(order):
        for other in order[:later]:
            assert other < number or not set(circuit.pairs[other]) & set(circuit.pairs[number])
    for block in blocks:
        assert block
        assert list(block) == sorted(block)
        assert qubits_of(circuit, block) == tuple(sorted({q for k in block for q in circuit.pairs[k]}))
        assert len(qubits_of(circuit, block)) <= max(2, width)
    if width >= circuit.qubits:
        assert len(blocks) <= 1


CHAIN = Circuit(4, ((0, 1), (2, 3), (1, 2), (0, 1)), (16, 16))


@pytest.mark.parametrize("blocks", [((0, 1, 2, 3),), ((1,), (0,), (2,), (3,)), ((1, 0), (2, 3)), ((0,), (), (1, 2, 3))])
def test_any_order_that_is_the_circuit_will_do(blocks: Blocks) -> None:
    check_blocks(CHAIN, blocks)
    order = [number for block in blocks for number in block]
    angles = np.random.default_rng(0).uniform(-3, 3, (4, ANGLES))
    other = Circuit(4, tuple(CHAIN.pairs[number] for number in order), (16, 16))
    np.testing.assert_allclose(matrix(other, angles[order]), matrix(CHAIN, angles), atol=1e-14)


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        ((), r"blocks hold the gates \[\], the circuit has 4"),
        (((0, 1, 2),), "the circuit has 4"),
        (((0, 1, 2, 3, 3),), "the circuit has 4"),
        (((0, 1), (1, 2, 3)), "the circuit has 4"),
        (((0, 1, 2, 4),), "the circuit has 4"),
        (((-1, 0, 1, 2),), "the circuit has 4"),
        (((2,), (0, 1, 3)), "gate 0 comes after gate 2, which follows it on qubit 1"),
        (((0, 1, 3), (2,)), "gate 2 comes after gate 3, which follows it on qubit 1"),
        (((0,), (2, 1), (3,)), "gate 1 comes after gate 2, which follows it on qubit 2"),
    ],
)
def test_blocks_that_are_not_the_circuit_are_refused(blocks: Blocks, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_blocks(CHAIN, blocks)


@given(circuit=circuits(most=6), width=st.integers(2, 6), rows=st.integers(1, 50))
@settings(max_examples=40, deadline=None)
def test_flops_are_those_of_the_products(circuit: Circuit, width: int, rows: int) -> None:
    blocks = fuse(circuit, width)
    found = cost(circuit, blocks, rows)
    flops = building = 0
    for block in blocks:
        k = len(qubits_of(circuit, block))
        # Each row of x is 2^(n-k) vectors of 2^k that meet the block's matrix; each gate meets the 2^k rows of it.
        vectors = rows * 2 ** (circuit.qubits - k)
        flops += sum(2 * 2**k for _ in range(vectors) for _ in range(2**k))
        building += sum(2**k * 2 ** (k - 2) * 2 * 4 * 4 for _ in block)
    assert (found.flops, found.building) == (flops, building)
    assert (found.seconds > 0) == bool(blocks)
    assert cost(circuit, blocks, rows + 1).seconds >= found.seconds


@given(circuit=circuits(), rows=st.integers(1, 10**6))
@settings(max_examples=60, deadline=None)
def test_the_cheapest_blocks_are_taken_and_always_the_same(circuit: Circuit, rows: int) -> None:
    found = schedule(circuit, rows)
    check_blocks(circuit, found)
    widths = [width for width in (*WIDTHS, circuit.qubits) if width <= max(circuit.qubits, WIDTHS[0])]
    assert all(cost(circuit, found, rows).seconds <= cost(circuit, fuse(circuit, w), rows).seconds for w in widths)
    assert schedule(circuit, rows) == found


@pytest.mark.parametrize("qubits", [3, 6])
def test_a_small_register_is_one_matrix_at_many_rows(qubits: int) -> None:
    pairs = tuple((k, k + 1) for _ in range(4) for k in range(qubits - 1))
    circuit = Circuit(qubits, pairs, (2**qubits, 2**qubits))
    assert schedule(circuit, 10_000) == (tuple(range(circuit.gates)),)


def test_a_large_register_never_is() -> None:
    qubits = WHOLE + 1
    pairs = tuple((k, (k + step) % qubits) for step in (1, 3, 5) for k in range(qubits))
    circuit = Circuit(qubits, pairs, (2**qubits, 2**qubits))
    for rows in (1, 4096):
        assert max(len(qubits_of(circuit, block)) for block in schedule(circuit, rows)) <= WIDTHS[-1]


def test_without_gates_there_is_nothing_to_do() -> None:
    for qubits in (0, 1, 2, 12):
        circuit = Circuit(qubits, (), (2**qubits, 2**qubits))
        assert schedule(circuit, 8) == ()
        assert cost(circuit, (), 8).flops == 0
