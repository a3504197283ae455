"""The operators that a network along a path has a runtime call, as its lowering writes them; and the fastest path."""

from dataclasses import replace
from math import prod

from qtnc.roofline import Kernel, copy, product, seconds, transposition
from qtnc.tensor.network import TensorNetwork, X
from qtnc.tensor.order import Path, Step, choose_path, every_path, path_flops, steps, x_first

ROWS = ""
"""The axis of the rows; no index of a network is called so."""

Axes = tuple[str, ...]

EVERY = 5
"""Operands, x among them, up to which all paths are compared: there are 180 of five, and 2,700 of six."""

MANY = 1 << 20
"""Rows at which what is done once for all of them counts for nothing."""


def fastest_path(network: TensorNetwork, rows: int, *, folded: bool = False) -> Path:
    """Path of the fewest estimated seconds at ``rows`` rows on one thread, and among equals of the fewest flops.

    With more than ``EVERY`` operands those of the fewest flops at few and at many rows, and x first, are compared.
    """

    def cost(path: Path) -> tuple[float, int]:
        return seconds(kernels(network, path, rows, folded=folded)), path_flops(network, path, rows)

    operands = len(network.inputs)
    if operands <= EVERY:
        return min(every_path(operands), key=cost)
    return min([x_first(network), *(choose_path(network, r) for r in (1, rows, MANY))], key=cost)


def kernels(network: TensorNetwork, path: Path, rows: int, *, folded: bool = False) -> tuple[Kernel, ...]:
    """Operators of one call at ``rows`` rows of x, which the networks of a stack share evenly.

    Parameters
    ----------
    folded : leave out what hangs on the cores alone, for a runtime that computes constants once, as onnxruntime does.
    """
    if network.stack:
        count, each = prod(network.stack), replace(network, stack=())
        return tuple(k.times(count) for k in kernels(each, path, max(1, rows // count), folded=folded))
    sizes = {**network.size_dict, ROWS: rows}
    alive: dict[int, Axes] = dict(enumerate(network.inputs))
    alive[X] = (ROWS, *network.inputs[X])
    found = [*_pad(rows, network.features[0], prod(network.sizes(network.inputs[X])))]
    for number, step in enumerate(steps(network, path)):
        made, out = _contract(step, alive.pop(step.left), alive.pop(step.right), sizes, folded=folded)
        found += () if folded and not step.out_rows else made
        alive[len(network.inputs) + number] = out
    (axes,) = alive.values()
    found += transposition(axes, (ROWS, *network.output), sizes)
    return (*found, *_pad(rows, network.features[1], prod(network.sizes(network.output))))


def _contract(step: Step, left: Axes, right: Axes, sizes: dict[str, int], *, folded: bool) -> tuple[list[Kernel], Axes]:
    """One step, both operands arranged and then multiplied, and the axes of its result."""
    kept = set(step.out_indices)
    rows = left[:1] if step.left_rows else ()
    shared = tuple(i for i in left if i in right and i in kept)
    summed = tuple(i for i in left if i in right and i not in kept)
    mine = tuple(i for i in left if i not in right and i != ROWS)
    theirs = tuple(i for i in right if i not in left)
    found = [*transposition(left, rows + shared + mine + summed, sizes)]
    found += () if folded else transposition(right, shared + summed + theirs, sizes)
    if max(len(left), len(right)) > 2:  # modes are joined before the product and split after it, which moves nothing
        found += [Kernel(), Kernel()]
    lead, batch, own, inner, columns = (prod(sizes[i] for i in axes) for axes in (rows, shared, mine, summed, theirs))
    if shared:
        found.append(product(own, inner, columns, batch=lead * batch, matrices=batch))
    else:
        found.append(product(lead * own, inner, columns))
    return found, rows + shared + mine + theirs


def _pad(rows: int, features: int, whole: int) -> tuple[Kernel, ...]:
    """Copy rows of features to rows padded with zeros, or back."""
    return (copy(rows * whole),) if whole > features else ()
