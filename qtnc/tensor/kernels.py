"""The operators that a network along a path has a runtime call, as its lowering writes them; and the fastest path."""

from math import prod

from qtnc.roofline import Kernel, copy, product, seconds, transposition
from qtnc.tensor.network import TensorNetwork, X
from qtnc.tensor.order import Path, Step, choose_path, every_path, path_flops, steps, x_first

ROWS = ""
"""The axis of the rows, for each network of a stack; no index of a network is called so."""

STACK = "#"
"""The axis of the stack, in front of x and of every core; of size 1 where there is none."""

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
    """Operators of one call at ``rows`` rows of x.

    Parameters
    ----------
    folded : leave out what hangs on the cores alone, for a runtime that computes constants once, as onnxruntime does.
    """
    stack = prod(network.stack)
    sizes = {**network.size_dict, STACK: stack, ROWS: max(1, rows // stack)}
    alive: dict[int, Axes] = {k: (STACK, *indices) for k, indices in enumerate(network.inputs)}
    alive[X] = (STACK, ROWS, *network.inputs[X])
    found = [*_pad(rows, network.features[0], prod(network.sizes(network.inputs[X])))]
    for number, step in enumerate(steps(network, path)):
        made, out = _contract(step, alive.pop(step.left), alive.pop(step.right), sizes, folded=folded)
        found += () if folded and not step.out_rows else made
        alive[len(network.inputs) + number] = out
    (axes,) = alive.values()
    found += transposition(axes, (STACK, ROWS, *network.output), sizes)
    return (*found, *_pad(rows, network.features[1], prod(network.sizes(network.output))))


def _contract(step: Step, left: Axes, right: Axes, sizes: dict[str, int], *, folded: bool) -> tuple[list[Kernel], Axes]:
    """One step, both operands arranged and then multiplied, and the axes of its result."""
    kept, lead = set(step.out_indices), left[: 1 + step.left_rows]
    shared = tuple(i for i in left[len(lead) :] if i in right and i in kept)
    summed = tuple(i for i in left[len(lead) :] if i in right and i not in kept)
    mine = tuple(i for i in left[len(lead) :] if i not in right)
    theirs = tuple(i for i in right if i not in left)
    found = [*transposition(left, lead + shared + mine + summed, sizes)]
    found += () if folded else transposition(right, (STACK, *shared, *summed, *theirs), sizes)
    if max(len(left), len(right)) > 3:  # modes are joined before the product and split after it, which moves nothing
        found += [Kernel(), Kernel()]
    stack, rows = sizes[STACK], sizes[ROWS] if step.left_rows else 1
    batch, own, inner, columns = (prod(sizes[i] for i in axes) for axes in (shared, mine, summed, theirs))
    if shared:
        found.append(product(own, inner, columns, batch=stack * rows * batch, matrices=stack * batch))
    else:
        found.append(product(rows * own, inner, columns, batch=stack, matrices=stack))
    return found, lead + shared + mine + theirs


def _pad(rows: int, features: int, whole: int) -> tuple[Kernel, ...]:
    """Copy rows of features to rows padded with zeros, or back."""
    return (copy(rows * whole),) if whole > features else ()
