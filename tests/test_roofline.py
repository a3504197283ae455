"""Seconds by a roofline: counted as numpy counts, never less for more work, and bounded by what bounds it."""

from itertools import pairwise
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtnc.roofline import BYTES, CACHE, FLOPS, MEMORY, NODE, SHORT, SPLIT, Kernel, copy, product, seconds, transposition

sizes = st.integers(1, 40)
many = st.integers(0, 1 << 40)
kernels = st.builds(Kernel, many, many, st.integers(0, 10**6), st.integers(0, 10**9))


@given(rows=sizes, inner=sizes, columns=sizes, batch=st.integers(1, 5), each=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_product_is_counted_as_its_arrays_are(rows: int, inner: int, columns: int, batch: int, each: bool) -> None:
    matrices = batch if each else 1
    a, b = np.zeros((batch, rows, inner), np.float32), np.zeros((matrices, inner, columns), np.float32)
    y = a @ b
    found = product(rows, inner, columns, batch, matrices)
    assert found.flops == sum(2 * inner for _ in range(y.size))
    assert found.bytes == a.nbytes + b.nbytes + y.nbytes
    assert (found.products, found.pieces) == (batch, 0)


@given(kernel=kernels, more=kernels, threads=st.integers(1, 8))
def test_more_work_never_takes_less_and_more_threads_never_longer(kernel: Kernel, more: Kernel, threads: int) -> None:
    whole = Kernel(
        kernel.flops + more.flops,
        kernel.bytes + more.bytes,
        kernel.products + more.products,
        kernel.pieces + more.pieces,
    )
    assert whole.seconds() >= kernel.seconds() >= NODE
    assert kernel.seconds(threads + 1) <= kernel.seconds(threads)
    assert seconds([kernel, more]) == kernel.seconds() + more.seconds()


def test_each_bound_is_reached() -> None:
    # 4 Gflop on 4 MB: computing bounds it; a vector by a matrix of 4 MB: the caches do; by one of 4 GB: the memory.
    assert product(1 << 12, 1 << 10, 1 << 9).seconds() == pytest.approx((1 << 32) / FLOPS, rel=1e-3)
    assert product(1, 1 << 10, 1 << 10).seconds() == pytest.approx((4 << 20) / BYTES, rel=2e-2)
    assert product(1, 1 << 15, 1 << 15).seconds() == pytest.approx((4 << 30) / MEMORY, rel=1e-2)
    assert Kernel().seconds() == NODE
    assert Kernel(bytes=CACHE).seconds() == pytest.approx(NODE + CACHE / BYTES)


def test_small_products_are_not_split_between_threads() -> None:
    assert Kernel(flops=SPLIT - 1).seconds(4) == Kernel(flops=SPLIT - 1).seconds(1)
    assert Kernel(flops=1 << 40).seconds(4) == pytest.approx(Kernel(flops=1 << 40).seconds(1) / 4, rel=1e-6)


AXES = ("a", "b", "c", "d", "e")


@given(data=st.data(), shape=st.lists(st.integers(1, 4), min_size=1, max_size=5))
@settings(max_examples=200, deadline=None)
def test_pieces_of_a_transposition_are_those_that_numpy_shows(data: st.DataObject, shape: list[int]) -> None:
    have = AXES[: len(shape)]
    size = dict(zip(have, shape, strict=True))
    want = data.draw(st.permutations(have))
    numbers = np.arange(prod(shape)).reshape(shape)
    moved = numbers.transpose([have.index(axis) for axis in want]).ravel()
    found = transposition(have, want, size)
    assert (found == ()) == bool(np.all(moved == np.arange(moved.size)))
    if not found:
        return
    (kernel,) = found
    assert (kernel.flops, kernel.bytes) == (0, 8 * moved.size)
    if kernel.pieces:
        # Runs of numbers that follow each other, but none longer than what is last before and after.
        breaks = 1 + sum(b != a + 1 for a, b in pairwise(moved.tolist()))
        longest = moved.size // breaks
        assert kernel.pieces >= moved.size // max(longest, SHORT)


def test_one_axis_that_goes_to_the_end_is_copied_in_tiles() -> None:
    size = {"rows": 7, "a": 3, "b": 5, "c": 4}
    for want in (("rows", "b", "a"), ("b", "rows", "a"), ("a", "b", "rows")):
        ((kernel),) = transposition(("rows", "a", "b"), want, size)
        assert kernel == copy(7 * 3 * 5)
    # Axes that swap before the last leave pieces of its size, which are copied one by one.
    (kernel,) = transposition(("rows", "a", "b", "c"), ("rows", "b", "a", "c"), size)
    assert kernel == copy(7 * 3 * 5 * 4, run=4)
    assert kernel.pieces == 7 * 3 * 5
