"""Orders and flops of parts, whether tensor networks or circuits."""

from qtnc.quantum.circuit import Circuit
from qtnc.quantum.schedule import cost, schedule
from qtnc.tensor.network import TensorNetwork
from qtnc.tensor.order import choose_path, path_flops

Order = tuple[tuple[int, ...], ...]
"""The path of a network, or the blocks of a circuit."""


def choose_order(product: TensorNetwork | Circuit, rows: int) -> Order:
    """Cheapest order at ``rows`` rows: in flops for a network, in estimated seconds for a circuit."""
    return schedule(product, rows) if isinstance(product, Circuit) else choose_path(product, rows)


def flops_of(product: TensorNetwork | Circuit, order: Order, rows: int) -> int:
    """Flops of one call, 2 per multiply-add; what follows from the angles alone is computed once and not counted."""
    if isinstance(product, Circuit):
        return cost(product, order, rows).flops
    return path_flops(product, tuple((a, b) for a, b in order), rows)
