"""Orders, flops and estimated seconds of products, whether tensor networks or circuits."""

from collections.abc import Iterable
from math import prod

from qtnc.quantum import schedule
from qtnc.quantum.circuit import Circuit
from qtnc.roofline import Kernel, seconds
from qtnc.tensor import kernels
from qtnc.tensor.network import TensorNetwork, X
from qtnc.tensor.order import steps

Order = tuple[tuple[int, ...], ...]
"""The path of a network, or the blocks of a circuit."""

Product = TensorNetwork | Circuit


def choose_order(product: Product, rows: int, *, folded: bool = False) -> Order:
    """Order of the fewest estimated seconds at ``rows`` rows, on one thread.

    Parameters
    ----------
    folded : what hangs on the cores alone is computed once, as constants are, and costs a call nothing.
    """
    if isinstance(product, Circuit):
        return schedule.schedule(product, rows)
    return kernels.fastest_path(product, rows, folded=folded)


def flops_of(product: Product, order: Order, rows: int, *, folded: bool = False) -> int:
    """Flops of one call, 2 per multiply-add; what follows from angles alone is computed once and not counted."""
    return sum(kernel.flops for kernel in _kernels(product, order, rows, folded=folded))


def seconds_of(chain: Iterable[tuple[Product, Order]], rows: int, threads: int = 1, *, folded: bool = False) -> float:
    """Estimated seconds that products, each in its order, take one after another at ``rows`` rows of x."""
    return sum(seconds(_kernels(product, order, rows, folded=folded), threads) for product, order in chain)


def width_of(product: Product, order: Order) -> int:
    """Most numbers that one row of x is on its way through a product."""
    if isinstance(product, Circuit):
        return product.amplitudes
    found = steps(product, tuple((a, b) for a, b in order))
    ends = (product.inputs[X], product.output, *(step.out_indices for step in found if step.out_rows))
    return max(prod(product.sizes(axes)) for axes in ends)


def dense_seconds(shape: tuple[int, ...], rows: int, threads: int = 1) -> float:
    """Estimated seconds of ``x . W`` with W of ``shape`` (..., M, N), a stack where there are axes before."""
    *stack, M, N = shape
    network = TensorNetwork((("m",), ("m", "n")), ("n",), {"m": M, "n": N}, (M, N), tuple(stack))
    return seconds_of([(network, ((0, 1),))], rows, threads)


def _kernels(product: Product, order: Order, rows: int, *, folded: bool) -> tuple[Kernel, ...]:
    if isinstance(product, Circuit):
        return schedule.kernels(product, order, rows)
    return kernels.kernels(product, tuple((a, b) for a, b in order), rows, folded=folded)
