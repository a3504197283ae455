"""Seconds that matrix products and copies take on a CPU: a roofline of few constants.

The constants are those of onnxruntime on a present core with wide vectors. They are fixed, so that what is chosen by
them is the same on every machine and hangs on no clock; `benchmarks/latency.py` prints them beside what is measured.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Final

ELEMENT: Final = 4
"""Bytes of a number: float32, in which CPUs compute."""

FLOPS: Final = 2.4e11
"""Flops a second of one thread in a large matrix product, 2 per multiply-add."""

SPLIT: Final = 1 << 23
"""Flops from which a matrix product is shared out between threads."""

CACHE: Final = 1 << 24
"""Bytes that an operator may read and write without leaving the caches."""

BYTES: Final = 1e11
"""Bytes a second within the caches."""

MEMORY: Final = 1.5e10
"""Bytes a second beyond them."""

NODE: Final = 3e-7
"""Seconds to call an operator."""

PRODUCT: Final = 9e-8
"""Seconds to begin a matrix product of a batch."""

PIECE: Final = 8e-9
"""Seconds to copy one contiguous piece in a transposition, besides its bytes."""

SHORT: Final = 3
"""Numbers that are copied one by one in the time of a piece."""


@dataclass(frozen=True)
class Kernel:
    """What one operator does in one call.

    Attributes
    ----------
    flops : of matrix products, 2 per multiply-add.
    bytes : read and written.
    products : matrix products that it does one after another.
    pieces : contiguous pieces that it copies one after another.
    """

    flops: int = 0
    bytes: int = 0
    products: int = 0
    pieces: int = 0

    def seconds(self, threads: int = 1) -> float:
        """Estimated seconds of one call."""
        computing = self.flops / FLOPS / (threads if self.flops >= SPLIT else 1)
        moving = min(self.bytes, CACHE) / BYTES + max(self.bytes - CACHE, 0) / MEMORY
        return max(computing, moving) + NODE + self.products * PRODUCT + self.pieces * PIECE

    def times(self, count: int) -> "Kernel":
        """The same for so many operands at once, in one call."""
        return Kernel(count * self.flops, count * self.bytes, count * self.products, count * self.pieces)


def seconds(kernels: Iterable[Kernel], threads: int = 1) -> float:
    """Estimated seconds of operators that run one after another."""
    return sum(kernel.seconds(threads) for kernel in kernels)


def product(rows: int, inner: int, columns: int, batch: int = 1, matrices: int = 1) -> Kernel:
    """``batch`` products (rows, inner) x (inner, columns), which have ``matrices`` right sides between them."""
    elements = batch * rows * (inner + columns) + matrices * inner * columns
    return Kernel(2 * batch * rows * inner * columns, ELEMENT * elements, products=batch)


def copy(elements: int, run: int | None = None) -> Kernel:
    """Read and write so many elements, ``run`` of them at a time; all in one go where it is None."""
    return Kernel(bytes=2 * ELEMENT * elements, pieces=0 if run is None else elements // max(run, SHORT))


def transposition(have: Sequence[str], want: Sequence[str], sizes: Mapping[str, int]) -> tuple[Kernel, ...]:
    """Bring named axes from one order into another; nothing is done where only axes of size 1 move."""
    have, want = ([axis for axis in axes if sizes[axis] > 1] for axes in (have, want))
    if have == want:
        return ()
    same = next(k for k in range(len(have)) if have[-1 - k] != want[-1 - k])
    run = prod(sizes[axis] for axis in have[len(have) - same :])
    return (copy(prod(sizes[axis] for axis in have), None if _in_tiles(have, want) else run),)


def _in_tiles(have: Sequence[str], want: Sequence[str]) -> bool:
    """Whether one axis goes to the end, or comes from there, and all others keep their order."""
    return have[-1] != want[-1] and any(
        [axis for axis in have if axis != moved] == [axis for axis in want if axis != moved]
        for moved in (have[-1], want[-1])
    )
