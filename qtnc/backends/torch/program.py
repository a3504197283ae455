"""From statements to methods: drop what nothing reads, and give each repeated block a method of its own."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from qtnc.backends.torch.emission import Statement
from qtnc.backends.torch.expression import Expr
from qtnc.backends.torch.names import block_of

SMALLEST_BLOCK = 4
"""Statements below which a block stays where it is."""


@dataclass(frozen=True)
class Block:
    """Statements that become one method, with the locals it takes and gives back."""

    path: str
    statements: tuple[Statement, ...]
    takes: tuple[int, ...]
    gives: tuple[int, ...]


def live(statements: Sequence[Statement], outputs: Iterable[Expr]) -> list[Statement]:
    """Statements that the outputs need, in order."""
    needed: set[int | str] = set()
    for output in outputs:
        needed |= output.uses
    kept = []
    for statement in reversed(statements):
        targets = tuple(t if t in needed else None for t in statement.targets)
        if any(t is not None for t in targets):
            kept.append(Statement(targets, statement.expr, statement.path, statement.comments))
            needed |= statement.expr.uses
    return kept[::-1]


def divide(statements: Sequence[Statement], outputs: Iterable[Expr]) -> list[Statement | Block]:
    """Group the statements of each numbered block, where they lie together."""
    runs = _runs(statements)
    times = Counter(path for path, _ in runs)
    wanted: set[int | str] = set()
    for output in outputs:
        wanted |= output.uses
    later = _read_after(runs, wanted)
    parts: list[Statement | Block] = []
    for (path, run), after in zip(runs, later, strict=True):
        if path and times[path] == 1 and len(run) >= SMALLEST_BLOCK:
            parts.append(_block(path, run, after))
        else:
            parts.extend(run)
    return parts


def _runs(statements: Sequence[Statement]) -> list[tuple[str, list[Statement]]]:
    runs: list[tuple[str, list[Statement]]] = []
    for statement in statements:
        path = block_of(statement.path)
        if runs and runs[-1][0] == path:
            runs[-1][1].append(statement)
        else:
            runs.append((path, [statement]))
    return runs


def _read_after(runs: Sequence[tuple[str, list[Statement]]], wanted: set[int | str]) -> list[set[int | str]]:
    """What is read after each run."""
    found = []
    for _, run in reversed(runs):
        found.append(set(wanted))
        for statement in run:
            wanted |= statement.expr.uses
    return found[::-1]


def _block(path: str, run: Sequence[Statement], after: set[int | str]) -> Block:
    made = [t for s in run for t in s.targets if t is not None]
    read = dict.fromkeys(u for s in run for u in sorted(u for u in s.expr.uses if isinstance(u, int)))
    takes = tuple(u for u in read if u not in set(made))
    return Block(path, tuple(run), takes, tuple(t for t in made if t in after))
