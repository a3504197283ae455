"""Contraction orders: paths from opt-einsum, and the two-operand steps they stand for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod

import opt_einsum

from qtnc.tensor.network import TensorNetwork, X

Path = tuple[tuple[int, int], ...]
"""Pairs of operand numbers in single-assignment form: x is 0, core k is k + 1, the result of step s is
``len(inputs) + s``. A network without cores has the empty path."""

EXACT = 8
"""Operands, x among them, up to which outer products are tried too."""


@dataclass(frozen=True)
class Step:
    """One pairwise contraction. ``rows`` tells which operands, and so the result, carry the rows of x."""

    left: int
    right: int
    left_indices: tuple[str, ...]
    right_indices: tuple[str, ...]
    out_indices: tuple[str, ...]
    left_rows: bool
    right_rows: bool

    @property
    def out_rows(self) -> bool:
        """Whether the result carries the rows of x."""
        return self.left_rows or self.right_rows


def steps(network: TensorNetwork, path: Path) -> tuple[Step, ...]:
    """Spell a path out as steps.

    The operand that carries the rows is always ``left``. Indices of a result: those that both operands share and
    something still needs, then the left operand's own, then the right's; the last step's are the network's output.

    Raises
    ------
    ValueError
        If the path does not contract the network to its output, pair by pair.
    """
    alive = dict(enumerate(network.inputs))
    rows = {X}
    found = []
    for a, b in path:
        left, right = (b, a) if b in rows else (a, b)
        if a == b or a not in alive or b not in alive:
            raise ValueError(f"step {a}, {b} contracts operands of {network.equation} that are not there")
        left_indices, right_indices = alive.pop(left), alive.pop(right)
        needed = set(network.output).union(*alive.values())
        shared = tuple(i for i in left_indices if i in right_indices and i in needed)
        own = tuple(i for i in (*left_indices, *right_indices) if i in needed and i not in shared)
        out = (shared + own) if alive else network.output
        if set(out) != set(shared + own):
            raise ValueError(f"path {path} does not lead to the output of {network.equation}")
        found.append(Step(left, right, left_indices, right_indices, out, left in rows, right in rows))
        result = len(network.inputs) + len(found) - 1
        alive[result] = out
        if left in rows:
            rows.add(result)
    if len(alive) != 1:
        raise ValueError(f"path {path} leaves {len(alive)} operands of {network.equation}")
    return tuple(found)


def step_flops(network: TensorNetwork, step: Step, rows: int) -> int:
    """Flops of one step at ``rows`` rows of x, over all networks of a stack: 2 per multiply-add."""
    indices = {*step.left_indices, *step.right_indices}
    return 2 * prod(network.sizes(tuple(indices))) * (rows if step.out_rows else prod(network.stack))


def path_flops(network: TensorNetwork, path: Path, rows: int) -> int:
    """Flops of a whole path at ``rows`` rows of x, steps among cores counted once."""
    return sum(step_flops(network, step, rows) for step in steps(network, path))


def largest_intermediate(network: TensorNetwork, path: Path, rows: int) -> int:
    """Elements of the largest result of any step at ``rows`` rows of x."""
    return max(
        (
            prod(network.sizes(s.out_indices)) * (rows if s.out_rows else prod(network.stack))
            for s in steps(network, path)
        ),
        default=0,
    )


def x_first(network: TensorNetwork) -> Path:
    """Contract x with the cores one after another."""
    cores = len(network.inputs) - 1
    return tuple((X if k == 0 else cores + k, k + 1) for k in range(cores))


def every_path(operands: int) -> Iterator[Path]:
    """All ways to contract so many operands pair by pair."""

    def go(alive: tuple[int, ...], result: int) -> Iterator[Path]:
        if len(alive) == 1:
            yield ()
        for pair in combinations(alive, 2):
            rest = tuple(k for k in alive if k not in pair)
            for others in go((*rest, result), result + 1):
                yield (pair, *others)

    return go(tuple(range(operands)), operands)


def choose_path(network: TensorNetwork, rows: int) -> Path:
    """Cheapest order in flops at ``rows`` rows of x.

    It is the least of all orders; beyond ``EXACT`` operands, of all orders without outer products.

    Both "x first" and "rebuild W first" are orders of this network, so either can win; with many rows rebuilding
    W usually does, with one row x first. The networks of a stack share the rows evenly.

    Raises
    ------
    ValueError
        If opt-einsum proposes a step of more than two operands.
    """
    if len(network.inputs) == 1:
        return ()
    symbol = {index: opt_einsum.get_symbol(k + 1) for k, index in enumerate(network.size_dict)}
    batch = opt_einsum.get_symbol(0)
    terms = ["".join(symbol[i] for i in indices) for indices in network.inputs]
    terms[X] = batch + terms[X]
    equation = ",".join(terms) + "->" + batch + "".join(symbol[i] for i in network.output)
    shapes = [network.sizes(indices) for indices in network.inputs]
    shapes[X] = (max(1, rows // prod(network.stack)), *shapes[X])
    # opt-einsum's other searches count an outer product at half; written as a matrix product it costs as much as a sum.
    search = opt_einsum.DynamicProgramming(minimize="flops", search_outer=len(shapes) <= EXACT)
    linear, _ = opt_einsum.contract_path(equation, *shapes, shapes=True, optimize=search)
    return _single_assignment(linear, len(network.inputs))


def _single_assignment(linear: Sequence[Sequence[int]], operands: int) -> Path:
    """Turn opt-einsum's positions in a shrinking list into fixed operand numbers."""
    alive = list(range(operands))
    path = []
    for positions in linear:
        if len(positions) != 2:
            raise ValueError(f"contraction path {linear} has a step of {len(positions)} operands")
        a, b = sorted(positions)
        path.append((alive[a], alive[b]))
        del alive[b], alive[a]
        alive.append(operands + len(path) - 1)
    return tuple(path)
