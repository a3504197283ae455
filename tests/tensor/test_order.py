"""Contraction orders against brute force over all of them, and their steps against one einsum."""

from collections.abc import Iterator
from itertools import combinations
from math import prod

import numpy as np
import opt_einsum
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qtnc.tensor import order
from qtnc.tensor.network import TensorNetwork
from qtnc.tensor.order import Path, choose_path, largest_intermediate, path_flops, step_flops, steps, x_first

Tensor = NDArray[np.float64]

batch = st.integers(1, 5)


@st.composite
def networks(draw: st.DrawFn, most: int = 3) -> TensorNetwork:
    """Any network with up to ``most`` cores: chains, trees and loops, with bonds of size 1 and modes on any core."""
    cores: list[list[str]] = [[] for _ in range(draw(st.integers(1, most)))]
    sizes: dict[str, int] = {}
    ends: dict[str, list[str]] = {"m": [], "n": []}
    for letter in ("m", "n"):
        for k in range(draw(st.integers(1, 3))):
            index = f"{letter}{k}"
            sizes[index] = draw(st.integers(1, 4))
            ends[letter].append(index)
            cores[draw(st.integers(0, len(cores) - 1))].append(index)
    for k in range(1, len(cores)):
        sizes[f"r{k}"] = draw(st.integers(1, 5))
        for core in (k, draw(st.integers(0, k - 1))):
            cores[core].append(f"r{k}")
    for core in cores:
        draw(st.randoms(use_true_random=False)).shuffle(core)
    M, N = (prod(sizes[i] for i in ends[letter]) for letter in ("m", "n"))
    return TensorNetwork((tuple(ends["m"]), *map(tuple, cores)), tuple(ends["n"]), sizes, (M, N))


def chain(modes: tuple[tuple[int, int], ...], bond: int) -> TensorNetwork:
    """A matrix product operator with one bond."""
    count = len(modes)
    sizes = {f"m{k}": m for k, (m, _) in enumerate(modes)} | {f"n{k}": n for k, (_, n) in enumerate(modes)}
    sizes |= {f"r{k}": bond for k in range(1, count)}
    cores = [tuple(i for i in (f"r{k}", f"m{k}", f"n{k}", f"r{k + 1}") if i in sizes) for k in range(count)]
    x, y = tuple(f"m{k}" for k in range(count)), tuple(f"n{k}" for k in range(count))
    return TensorNetwork((x, *cores), y, sizes, (prod(m for m, _ in modes), prod(n for _, n in modes)))


def every_path(operands: int) -> Iterator[Path]:
    """All ways to contract that many operands pair by pair."""

    def go(alive: tuple[int, ...], free: int) -> Iterator[Path]:
        if len(alive) == 1:
            yield ()
        for a, b in combinations(alive, 2):
            rest = tuple(i for i in alive if i not in (a, b))
            for tail in go((*rest, free), free + 1):
                yield ((a, b), *tail)

    yield from go(tuple(range(operands)), operands)


def einsum(parts: list[tuple[Tensor, tuple[str, ...]]], out: tuple[str, ...]) -> Tensor:
    """numpy's einsum with named axes."""
    number = {name: k for k, name in enumerate(dict.fromkeys(i for _, axes in parts for i in axes))}
    operands: list[object] = []
    for array, axes in parts:
        operands += [array, [number[i] for i in axes]]
    return np.asarray(np.einsum(*operands, [number[i] for i in out]))


def tensors(network: TensorNetwork, rows: int, seed: int = 0) -> list[tuple[Tensor, tuple[str, ...]]]:
    """Random x, with an axis ``rows`` in front, and random cores."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, *network.sizes(network.inputs[0])))
    cores = [(rng.standard_normal(network.sizes(axes)), axes) for axes in network.inputs[1:]]
    return [(x, ("rows", *network.inputs[0])), *cores]


def follow(network: TensorNetwork, path: Path, rows: int) -> tuple[Tensor, int, int]:
    """Contract step by step; return y, the flops counted from the index sets, and the largest result."""
    alive = dict(enumerate(tensors(network, rows)))
    flops, largest = 0, 0
    for number, step in enumerate(steps(network, path)):
        (a, a_axes), (b, b_axes) = alive.pop(step.left), alive.pop(step.right)
        assert tuple(i for i in a_axes if i != "rows") == step.left_indices
        assert tuple(i for i in b_axes if i != "rows") == step.right_indices
        assert ("rows" in a_axes, "rows" in b_axes) == (step.left_rows, step.right_rows)
        out = (("rows",) if step.out_rows else ()) + step.out_indices
        result = einsum([(a, a_axes), (b, b_axes)], out)
        size = dict(zip((*a_axes, *b_axes), (*a.shape, *b.shape), strict=True))
        flops += 2 * prod(size.values())
        largest = max(largest, result.size)
        alive[len(network.inputs) + number] = (result, out)
    ((y, axes),) = alive.values()
    assert axes == ("rows", *network.output)
    return y, flops, largest


@given(network=networks(), rows=batch, data=st.data())
@settings(max_examples=60, deadline=None)
def test_every_order_computes_the_same_product(network: TensorNetwork, rows: int, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from([*every_path(len(network.inputs))]))
    want = einsum(tensors(network, rows), ("rows", *network.output))
    y, flops, largest = follow(network, path, rows)
    np.testing.assert_allclose(y, want, atol=1e-10)
    assert path_flops(network, path, rows) == flops
    assert largest_intermediate(network, path, rows) == largest
    assert sum(step_flops(network, step, rows) for step in steps(network, path)) == flops


@given(network=networks(), rows=st.sampled_from([1, 2, 7, 100]))
@settings(max_examples=80, deadline=None)
def test_the_chosen_order_is_the_cheapest_of_all(network: TensorNetwork, rows: int) -> None:
    best = min(path_flops(network, path, rows) for path in every_path(len(network.inputs)))
    assert path_flops(network, choose_path(network, rows), rows) == best


@given(network=networks(most=7), rows=batch)
@settings(max_examples=40, deadline=None)
def test_larger_networks_are_contracted_pair_by_pair(network: TensorNetwork, rows: int) -> None:
    path = choose_path(network, rows)
    assert all(len(pair) == 2 for pair in path)
    assert len(path) == len(network.inputs) - 1
    want = einsum(tensors(network, rows), ("rows", *network.output))
    np.testing.assert_allclose(follow(network, path, rows)[0], want, atol=1e-9)


@given(network=networks(most=5), rows=batch)
@settings(max_examples=40, deadline=None)
def test_x_first_carries_the_rows_in_every_step(network: TensorNetwork, rows: int) -> None:
    path = x_first(network)
    assert all(step.left_rows and not step.right_rows for step in steps(network, path))
    want = einsum(tensors(network, rows), ("rows", *network.output))
    np.testing.assert_allclose(follow(network, path, rows)[0], want, atol=1e-9)


def test_one_row_takes_x_first_and_many_rows_rebuild_the_weight_first() -> None:
    network = chain(((8, 8), (8, 8)), bond=16)
    one, many = choose_path(network, 1), choose_path(network, 4096)
    assert all(step.left_rows for step in steps(network, one))
    assert path_flops(network, one, 1) == path_flops(network, x_first(network), 1)
    # Operand 0 is x: the first step joins the two cores, only the last one meets x.
    assert [step.out_rows for step in steps(network, many)] == [False, True]
    # x . core 0 . core 1: 2 (64 . 8 . 16) + 2 (8 . 16 . 64); the weight once: 2 (64 . 64 . 16), then 2 . 64 . 64 a row.
    assert path_flops(network, one, 1) == 2 * (64 * 8 * 16 + 8 * 8 * 16 * 8)
    assert path_flops(network, many, 4096) == 2 * (64 * 64 * 16 + 4096 * 64 * 64)
    assert path_flops(network, many, 4096) < path_flops(network, one, 4096)
    assert path_flops(network, one, 1) < path_flops(network, many, 1)


def test_a_network_without_cores_has_the_empty_path() -> None:
    network = TensorNetwork((("m",),), ("m",), {"m": 3}, (3, 3))
    assert choose_path(network, 5) == ()
    assert path_flops(network, (), 5) == 0
    assert largest_intermediate(network, (), 5) == 0


@pytest.mark.parametrize("path", [((0, 1),), ((0, 1), (0, 2)), ((0, 1), (3, 4)), ((1, 2), (0, 3), (4, 5))])
def test_a_path_that_does_not_contract_the_network_is_refused(path: Path) -> None:
    with pytest.raises((ValueError, KeyError)):
        steps(chain(((2, 2), (2, 2)), bond=2), path)


def test_a_step_of_many_operands_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def all_at_once(*_: object, **__: object) -> tuple[list[tuple[int, ...]], None]:
        return [(0, 1, 2)], None

    monkeypatch.setattr(opt_einsum, "contract_path", all_at_once)
    with pytest.raises(ValueError, match="3 operands"):
        order.choose_path(chain(((2, 2), (2, 2)), bond=2), 1)
