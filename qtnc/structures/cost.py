"""Orders, flops and estimated seconds of products, whether tensor networks or circuits."""

from collections.abc import Iterable

from qtnc.quantum import schedule
from qtnc.quantum.circuit import Circuit
from qtnc.roofline import seconds
from qtnc.tensor.network import TensorNetwork
from qtnc.tensor.order import path_flops
from qtnc.tensor.work import fastest_path, works

Order = tuple[tuple[int, ...], ...]
"""The path of a network, or the blocks of a circuit."""

Product = TensorNetwork | Circuit


def choose_order(product: Product, rows: int, *, folded: bool = False) -> Order:
    """Order of the fewest estimated seconds at ``rows`` rows on one thread.

    Parameters
    ----------
    folded : the cores are constants and what hangs on them alone is computed once, so that it costs a call nothing.
    """
    if isinstance(product, Circuit):
        return schedule.schedule(product, rows)
    return fastest_path(product, rows, folded=folded)


def flops_of(product: Product, order: Order, rows: int) -> int:
    """Flops of one call, 2 per multiply-add; what follows from the angles alone is computed once and not counted."""
    if isinstance(product, Circuit):
        return schedule.cost(product, order, rows).flops
    return path_flops(product, tuple((a, b) for a, b in order), rows)


def seconds_of(chain: Iterable[tuple[Product, Order]], rows: int, threads: int = 1, *, folded: bool = False) -> float:
    """Estimated seconds that products, each in its order, take one after another at ``rows`` rows of x."""
    return sum(_seconds(product, order, rows, threads, folded=folded) for product, order in chain)


def _seconds(product: Product, order: Order, rows: int, threads: int, *, folded: bool) -> float:
    if isinstance(product, Circuit):
        return schedule.cost(product, order, rows, threads).seconds
    path = tuple((a, b) for a, b in order)
    return seconds(works(product, path, rows, folded=folded), threads)
