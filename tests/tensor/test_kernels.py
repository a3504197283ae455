"""Kernels of a network against an independent count, and the fastest path against brute force."""

from dataclasses import replace
from math import factorial, prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtnc.roofline import seconds
from qtnc.structures.lowrank import LowRank
from qtnc.structures.mpo import Mpo
from qtnc.tensor.kernels import EVERY, fastest_path, kernels
from qtnc.tensor.network import TensorNetwork
from qtnc.tensor.order import every_path, path_flops, steps, x_first
from qtnc.tensor.sites import clip_bonds, uniform_bonds

modes = st.integers(1, 5)


@st.composite
def operators(draw: st.DrawFn, most: int = 3) -> TensorNetwork:
    """Operators of up to ``most`` sites, modes of 1 and padding among them."""
    sites = tuple(draw(st.lists(st.tuples(modes, modes), min_size=2, max_size=most)))
    bonds = clip_bonds(sites, uniform_bonds(sites, draw(st.integers(1, 6))))
    M, N = (prod(site[k] for site in sites) for k in (0, 1))
    less = draw(st.tuples(st.integers(0, M - 1), st.integers(0, N - 1)))
    return Mpo(sites=sites, bonds=bonds).network((M - less[0], N - less[1]))


def test_all_paths_are_there_once() -> None:
    for operands in range(2, 6):
        found = list(every_path(operands))
        # Of n operands there are n!(n-1)!/2^(n-1) ways to join two at a time.
        assert len(set(found)) == len(found) == factorial(operands) * factorial(operands - 1) // 2 ** (operands - 1)
    assert list(every_path(1)) == [()]


@given(network=operators(), rows=st.integers(1, 40), data=st.data())
@settings(max_examples=80, deadline=None)
def test_flops_are_those_of_the_path(network: TensorNetwork, rows: int, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(list(every_path(len(network.inputs)))))
    assert sum(k.flops for k in kernels(network, path, rows)) == path_flops(network, path, rows)
    # What is left when constants are folded is done for every row.
    folded = sum(k.flops for k in kernels(network, path, rows, folded=True))
    assert sum(k.flops for k in kernels(network, path, 3 * rows, folded=True)) == 3 * folded
    assert folded == path_flops(network, path, rows) - sum(
        2 * prod(network.sizes(tuple({*s.left_indices, *s.right_indices})))
        for s in steps(network, path)
        if not s.out_rows
    )
    assert seconds(kernels(network, path, rows, folded=True)) <= seconds(kernels(network, path, rows))
    assert seconds(kernels(network, path, rows)) <= seconds(kernels(network, path, 2 * rows))


@given(network=operators(), each=st.integers(1, 9), stack=st.sampled_from([(3,), (2, 2)]), data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_stack_does_what_its_networks_do(
    network: TensorNetwork, each: int, stack: tuple[int, ...], data: st.DataObject
) -> None:
    path, count = data.draw(st.sampled_from(list(every_path(len(network.inputs))))), prod(stack)
    stacked = replace(network, stack=stack)
    found = kernels(stacked, path, count * each)
    assert sum(k.flops for k in found) == count * sum(k.flops for k in kernels(network, path, each))
    assert sum(k.flops for k in found) == path_flops(stacked, path, count * each)
    assert seconds(found) <= count * seconds(kernels(network, path, each)) * (1.0 + 1e-12)


@given(network=operators(), rows=st.sampled_from([1, 7, 128, 4096]), folded=st.booleans())
@settings(max_examples=40, deadline=None)
def test_no_path_is_faster_than_the_fastest(network: TensorNetwork, rows: int, folded: bool) -> None:
    found = fastest_path(network, rows, folded=folded)
    least = min(seconds(kernels(network, p, rows, folded=folded)) for p in every_path(len(network.inputs)))
    assert seconds(kernels(network, found, rows, folded=folded)) == least
    assert fastest_path(network, rows, folded=folded) == found


def rebuilds(network: TensorNetwork, rows: int, *, folded: bool = False) -> bool:
    """Whether the cores meet before x does."""
    found = steps(network, fastest_path(network, rows, folded=folded))
    return [step.out_rows for step in found] == [False] * (len(found) - 1) + [True]


def test_low_rank_meets_x_first_at_any_number_of_rows() -> None:
    network = LowRank(rank=32).network((384, 1536))
    for rows in (1, 8, 128, 1024):
        for folded in (False, True):
            found = fastest_path(network, rows, folded=folded)
            assert [sorted(pair) for pair in found] == [sorted(pair) for pair in x_first(network)]


def test_rebuilding_costs_nothing_where_constants_are_folded() -> None:
    # Bond 64 takes 5 times the flops of dense: with x first it is slower at any number of rows.
    network = Mpo(sites=((16, 24), (24, 16)), bonds=(64,)).network((384, 384))
    assert all(rebuilds(network, rows, folded=True) for rows in (1, 8, 128, 1024))
    # Torch rebuilds in every call, which one row does not pay for and a thousand do.
    assert not rebuilds(network, 1)
    assert rebuilds(network, 1024)


def test_among_equals_the_weight_is_not_rebuilt_by_outer_products() -> None:
    network = Mpo(sites=((16, 8), (16, 8), (16, 16)), bonds=(90, 90)).network((4096, 1024))
    assert rebuilds(network, 128, folded=True)
    found = steps(network, fastest_path(network, 128, folded=True))
    assert all({*step.left_indices} & {*step.right_indices} for step in found)


@pytest.mark.parametrize("rows", [1, 64, 4096])
def test_many_sites_have_a_path_too(rows: int) -> None:
    count = EVERY + 2
    network = Mpo(sites=((2, 2),) * count, bonds=(4,) * (count - 1)).network((2**count, 2**count))
    for folded in (False, True):
        path = fastest_path(network, rows, folded=folded)
        assert len(steps(network, path)) == count
        found = seconds(kernels(network, path, rows, folded=folded))
        assert found <= seconds(kernels(network, x_first(network), rows, folded=folded))


def test_without_cores_there_is_nothing_to_do() -> None:
    network = TensorNetwork((("m",),), ("m",), {"m": 3}, (3, 3))
    assert fastest_path(network, 5) == ()
    assert kernels(network, (), 5) == ()
