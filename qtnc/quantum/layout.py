"""Which pairs of qubits the gates of a circuit act on, layer by layer from the operator outwards."""

from collections.abc import Sequence
from typing import Final, Literal

Pair = tuple[int, int]
Layers = tuple[tuple[Pair, ...], ...]
"""Disjoint pairs a layer; the first layer is the innermost, next to the operator."""

Layout = Literal["brickwall", "cross"]

LAYOUTS: Final = ("brickwall", "cross")
"""``brickwall``: neighbours, shifted by one each layer. ``cross``: every gate joins the two halves of the register,
in another matching each layer, which takes a device that connects all to all."""


def layers(layout: Layout, sites: Sequence[int], depth: int) -> Layers:
    """Pairs of a circuit beside an operator, without gates that the operator could absorb.

    Parameters
    ----------
    sites : site of the operator on which each qubit lies, qubit 0 being the most significant bit; rising.
    depth : number of layers before pruning.

    Returns
    -------
    Layers that still have a gate. All are gone where one site holds the whole register: there every circuit is gauge.
    """
    cut = _cut(sites)
    draw = {"brickwall": _brickwall, "cross": _cross}[layout]
    return pruned([draw(len(sites), cut, number) for number in range(depth)], sites)


def pruned(drawn: Sequence[Sequence[Pair]], sites: Sequence[int]) -> Layers:
    """Drop gates that change nothing that could not be had without them.

    A gate within one site whose qubits no gate nearer to the operator joins to others is a change of basis in that
    site: gauge. A gate that follows another on the same two qubits merges with it.
    """
    last: dict[int, Pair] = {}
    kept = []
    for layer in drawn:
        needed = [pair for pair in layer if not _is_gauge(pair, sites, last) and not _repeats(pair, last)]
        for pair in needed:
            last.update(dict.fromkeys(pair, pair))
        kept.append(tuple(needed))
    return tuple(layer for layer in kept if layer)


def _is_gauge(pair: Pair, sites: Sequence[int], last: dict[int, Pair]) -> bool:
    return sites[pair[0]] == sites[pair[1]] and not any(qubit in last for qubit in pair)


def _repeats(pair: Pair, last: dict[int, Pair]) -> bool:
    return all(set(last.get(qubit, ())) == set(pair) for qubit in pair)


def _cut(sites: Sequence[int]) -> int:
    """Boundary of sites nearest to the middle of the register; the middle where there is none."""
    count = len(sites)
    bounds = [k for k in range(1, count) if sites[k] != sites[k - 1]] or [count // 2]
    return min(bounds, key=lambda k: abs(2 * k - count))


def _brickwall(qubits: int, cut: int, number: int) -> list[Pair]:
    """Neighbours, so placed that the innermost layer joins the two sides of the cut."""
    return [(k, k + 1) for k in range((cut - 1 + number) % 2, qubits - 1, 2)]


def _cross(qubits: int, cut: int, number: int) -> list[Pair]:
    """A matching of the smaller half into the larger, turned by one each layer."""
    left, right = range(cut), range(cut, qubits)
    if len(left) <= len(right):
        return [(a, right[(k + number) % len(right)]) for k, a in enumerate(left)]
    return [(left[(k + number) % len(left)], b) for k, b in enumerate(right)]
