"""Delta debugging: the fewest of some items with which something still holds (Zeller and Hildebrandt, 2002)."""

from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def smallest(items: Sequence[Item], holds: Callable[[tuple[Item, ...]], bool]) -> tuple[Item, ...]:
    """Leave items out, in ever smaller groups, while ``holds`` is true of the rest; it is of all of them.

    Returns
    -------
    Items in their order; with any single one of them left out, ``holds`` is false.
    """
    kept, groups = tuple(items), 2
    while kept:
        size = -(-len(kept) // groups)
        for start in range(0, len(kept), size):
            rest = kept[:start] + kept[start + size :]
            if holds(rest):
                kept, groups = rest, max(groups - 1, 2)
                break
        else:
            if size == 1:
                break
            groups = min(2 * groups, len(kept))
    return kept
