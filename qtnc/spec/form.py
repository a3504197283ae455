"""The one form of a spec: blanks, indentation and alignment, with every line and comment where the author put it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile

from qtnc.errors import SpecError
from qtnc.source import Source
from qtnc.spec.layout import Lexeme
from qtnc.spec.syntax import lexemes, recover, vocabulary

INDENT = "    "
ALIGNED = {"let": "=", "select": "=", "data": "=", "rewrite": "->"}
"""Statements that stand under one another are aligned at this, by the word they begin with."""

TIGHT_AFTER, TIGHT_BEFORE = frozenset("([."), frozenset(")],:.")
"""What no blank follows, and what none precedes."""


@dataclass(frozen=True)
class Line:
    """One line as written: its lexemes, its comment, the brackets open where it begins, whether it goes on one before.

    ``depth`` counts a bracket that the line itself begins by closing as closed.
    """

    lexemes: tuple[Lexeme, ...]
    comment: str
    depth: int
    goes_on: bool

    @property
    def text(self) -> str:
        """Lexemes with blanks between them as they belong."""
        pairs = zip((None, *self.lexemes), self.lexemes, strict=False)
        return "".join((" " if before and _apart(before, lexeme) else "") + lexeme.text for before, lexeme in pairs)

    @property
    def begins(self) -> str | None:
        """The word that a statement of one line begins with, where its lines are aligned."""
        word = self.lexemes[0].text if self.lexemes and not self.goes_on else None
        return word if word in ALIGNED else None


def formatted(source: Source) -> str:
    """A spec in its one form; formatted again it stays as it is, and means the same.

    Raises
    ------
    SpecError
        If its syntax is wrong: what cannot be read is not touched.
    """
    errors = recover(source)[1]
    if errors:
        raise SpecError(*errors)
    written: list[tuple[str, str]] = []  # of every line its text, and its comment
    for (begins, depth), group in groupby(_lines(source.text), key=lambda line: (line.begins, line.depth)):
        lines = list(group)
        texts = _aligned([line.text for line in lines], ALIGNED[begins]) if begins else [line.text for line in lines]
        for line, text in zip(lines, texts, strict=True):
            indent = INDENT * (depth + line.goes_on)
            written.append((indent + text, line.comment) if text or not line.comment else (indent + line.comment, ""))
    finished = _spaced([line.rstrip() for line in _commented(written)])
    return "".join(f"{line}\n" for line in finished)


def _commented(written: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Comments behind lines that stand under one another begin in one column."""
    for has_comment, group in groupby(written, key=lambda line: bool(line[1])):
        lines = list(group)
        width = max(len(text) for text, _ in lines)
        yield from (f"{text.ljust(width)}  {comment}" if has_comment else text for text, comment in lines)


def _lines(text: str) -> Iterator[Line]:
    rows: dict[int, list[Lexeme]] = {}
    for lexeme in lexemes(text):
        rows.setdefault(lexeme.line, []).append(lexeme)
    stages, brackets, last = 0, 0, None
    starts, words = Source("", text).line_starts, vocabulary()
    for number, row in enumerate(text.split("\n"), start=1):
        found = rows.get(number, [])
        end = found[-1].end - starts[number - 1] if found else 0
        open_end = last is not None and last.kind in words.operators and not brackets
        closing = sum(1 for _ in takewhile(lambda lexeme: lexeme.kind in words.closings, found))
        yield Line(tuple(found), row[end:].strip(), stages + brackets - closing, bool(found) and open_end)
        for lexeme in found:
            step = (lexeme.kind in words.openings) - (lexeme.kind in words.closings)
            if lexeme.text in "{}":
                stages += step
            else:
                brackets += step
        last = found[-1] if found else last


def _apart(before: Lexeme, lexeme: Lexeme) -> bool:
    if before.text in TIGHT_AFTER or lexeme.text in TIGHT_BEFORE:
        return False
    return not (lexeme.text == "(" and before.kind == "NAME")


def _aligned(texts: Sequence[str], at: str) -> list[str]:
    """Pad what stands before the first ``at`` of each text to the same width."""
    parts = [text.partition(f" {at} ") for text in texts]
    width = max(len(head) for head, _, _ in parts)
    return [f"{head.ljust(width)}{middle}{tail}" for head, middle, tail in parts]


def _spaced(lines: Sequence[str]) -> list[str]:
    """No blank line at either end, and one at most in a row."""
    kept: list[str] = []
    for line in lines:
        if line or (kept and kept[-1]):
            kept.append(line)
    while kept and not kept[-1]:
        kept.pop()
    return kept
