"""What may come next in a statement that is begun: words, and what a name or a string would stand for there.

Nothing of the language is listed here: the parser is asked. What a name would be is found by finishing the statement
in a short way and looking where in its tree the name went.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from heapq import heappop, heappush
from itertools import count
from typing import Any, Final

from lark import Token, UnexpectedToken
from lark.parsers.lalr_interactive_parser import InteractiveParser

from qtnc.source import Source, Span
from qtnc.spec.layout import Lexeme
from qtnc.spec.syntax import begin, build, spelling, tokens_for, vocabulary

END: Final = "$END"

SEARCHED: Final = 2000
"""Parser states that are tried to finish a statement; those after a hundred open brackets take most."""

FILLERS: Final = {"STRING": '""', "REGEX": 're""', "RECIPE": "<a>", "NUMBER": "1", "SHAPE": "*x1", "COMPARATOR": "<"}
"""How terminals that are not spelled in one way are made up."""


@dataclass(frozen=True)
class Step:
    """One step from a statement down to a part of it: a node, and the field of it that holds what comes next."""

    node: Any
    field: str

    @property
    def role(self) -> tuple[str, str]:
        """Names of the kind of node and of the field."""
        return type(self.node).__name__, self.field


Path = tuple[Step, ...]
"""From a statement to a leaf of its tree."""


def words(before: Sequence[Lexeme], block: str | None = None) -> tuple[str, ...]:
    """Words, and the arrow, that may follow the lexemes of a statement that is begun; none after a mistake.

    ``block`` is the word that begins the block around the statement.
    """
    parser, known = _fed(before, block), spelling()
    if parser is None:
        return ()
    accepted = _accepted(parser)
    as_name = _after(parser, "NAME") if "NAME" in accepted else None
    kinds = (kind for kind in accepted if kind in known and (kind == "_ARROW" or known[kind].isidentifier()))
    # After which no more may follow than after a name is one here.
    return tuple(sorted(known[kind] for kind in kinds if as_name is None or not _after(parser, kind) <= as_name))


def paths(source: Source, before: Sequence[Lexeme], leaf: Lexeme, block: str | None = None) -> tuple[Path, ...]:
    """What ``leaf`` may be after the lexemes of a statement that is begun.

    Parameters
    ----------
    source
        That both are from.
    before
        The lexemes of the statement up to there.
    leaf
        What stands or would stand there, of the kind ``NAME``, ``STRING`` or another.
    block
        The word that begins the block around the statement.

    Returns
    -------
    tuple
        Ways from the statement down to it, one for each meaning that it may have; none where it cannot stand.
    """
    found: dict[tuple[tuple[str, str], ...], Path] = {}
    for ending in _endings(tuple(_kinds(before, block)), leaf.kind, block):
        statement = _statement(source, [*before, leaf], ending, block)
        path = path_to(statement, leaf.start, leaf.end)
        found.setdefault(tuple(step.role for step in path), path)
    return tuple(path for path in found.values() if path)


def path_to(node: Any, start: int, end: int) -> Path:
    """Way from a node down to the innermost part that spans the characters from ``start`` to ``end``."""
    for part in fields(node):
        value = getattr(node, part.name)
        for item in value if isinstance(value, tuple) else (value,):
            span = getattr(item, "span", None)
            if is_dataclass(item) and isinstance(span, Span) and span.start <= start and end <= span.end:
                return (Step(node, part.name), *path_to(item, start, end))
    return ()


def _kinds(before: Sequence[Lexeme], block: str | None) -> Iterator[str]:
    """Kinds of lexemes as the parser takes them."""
    parser = begin(block)
    for token in tokens_for(parser, before, block):
        yield token.type
        try:
            parser.feed_token(token)
        except UnexpectedToken:
            return


def _fed(lexemes: Sequence[Lexeme], block: str | None) -> InteractiveParser | None:
    parser = begin(block)
    try:
        for token in tokens_for(parser, lexemes, block):
            parser.feed_token(token)
    except UnexpectedToken:
        return None
    return parser


def _accepted(parser: InteractiveParser) -> list[str]:
    accepted: set[str] = parser.accepts()  # type: ignore[no-untyped-call]
    return sorted(accepted)


def _after(parser: InteractiveParser, kind: str) -> frozenset[str]:
    """Terminals that are accepted after one more."""
    return frozenset(_accepted(_one_more(parser, kind)))


def _one_more(parser: InteractiveParser, kind: str) -> InteractiveParser:
    after: InteractiveParser = parser.copy(deepcopy_values=False)  # type: ignore[no-untyped-call]
    after.feed_token(_filler(kind, 0))
    return after


@lru_cache(maxsize=1024)
def _endings(before: tuple[str, ...], leaf: str, block: str | None) -> tuple[tuple[str, ...], ...]:
    """Short ends of a statement after terminals and a leaf, one for each terminal that may follow the leaf."""
    parser = begin(block)
    try:
        for kind in (*before, leaf):
            parser.feed_token(_filler(kind, 0))
    except UnexpectedToken:
        return ()
    return tuple(ending for kind in _accepted(parser) if (ending := _ending(parser, kind)) is not None)


def _ending(parser: InteractiveParser, first: str) -> tuple[str, ...] | None:
    """A short end of a statement that begins with a terminal; None where it is too far."""
    if first == END:
        return ()
    # Nearest to the end is what has least open, before what has said least: closing a bracket must be progress.
    order = count()
    waiting: list[tuple[int, int, InteractiveParser, str, tuple[str, ...]]] = [(0, next(order), parser, first, ())]
    seen: set[tuple[Any, ...]] = set()
    for _ in range(SEARCHED):
        if not waiting:
            break
        *_, before, kind, said = heappop(waiting)
        after = _one_more(before, kind)
        stack = tuple(after.parser_state.state_stack)
        if stack in seen:
            continue
        seen.add(stack)
        accepted = _accepted(after)
        if END in accepted:
            return (*said, kind)
        for following in sorted(accepted, key=lambda kind: kind not in vocabulary().closings):
            heappush(waiting, (len(said) + 2 * len(stack), next(order), after, following, (*said, kind)))
    return None


def _statement(source: Source, begun: Sequence[Lexeme], ending: Sequence[str], block: str | None) -> Any:
    """The tree of a statement that is finished by made-up terminals of no length."""
    parser = begin(block)
    for token in tokens_for(parser, begun, block):
        parser.feed_token(token)
    last = Token("", "")
    for kind in ending:
        last = _filler(kind, begun[-1].end)
        parser.feed_token(last)
    return build(source, parser.feed_eof(last))  # type: ignore[no-untyped-call]


def _filler(kind: str, at: int) -> Token:
    return Token(kind, FILLERS.get(kind) or spelling().get(kind, "a"), at, end_pos=at)
