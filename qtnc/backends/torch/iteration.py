"""Loops in torch: the code that models with loops carry, as it stands here from the first function on."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def repeat(
    body: Callable[..., tuple[Tensor, ...]], times: Tensor | int | None, going: Tensor, states: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """Call ``body(number, going, *states)`` while it says so, ``times`` times at most; stack what it makes besides."""
    found: list[tuple[Tensor, ...]] = []
    while going and (times is None or len(found) < times):
        going, *made = body(torch.tensor(len(found), device=going.device), going, *states)
        states, rest = made[: len(states)], made[len(states) :]
        found.append(tuple(rest))
    return (*states, *(torch.stack(made) for made in zip(*found, strict=True)))


def scan(
    body: Callable[..., tuple[Tensor, ...]], states: Sequence[Tensor], sequences: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """Call ``body(*states, *items)`` along the first axis of the sequences; stack what it makes besides states."""
    found: list[tuple[Tensor, ...]] = []
    for items in zip(*sequences, strict=True):
        made = body(*states, *items)
        states, rest = made[: len(states)], made[len(states) :]
        found.append(rest)
    return (*states, *(torch.stack(made) for made in zip(*found, strict=True)))
