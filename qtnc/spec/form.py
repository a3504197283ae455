"""The one form of a spec: blanks, indentation and alignment, with every line and comment where the author put it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile

from qtnc.errors import SpecError
from qtnc.source import Source
from qtnc.spec.layout import Lexeme, stretches
from qtnc.spec.syntax import lexemes, recover, signed, vocabulary
from qtnc.spec.wording import INSIDE

INDENT = "    "
ALIGNED = {"let": "=", "select": "=", "data": "=", "rewrite": "->"}
"""Statements that stand under one another are aligned at this, by the word they begin with."""

WIDTHS = {block: max(map(len, INSIDE[block].keys() - INSIDE.keys())) for block in ("rule", "example")}
"""What stands behind the first words of statements begins in one column, in these blocks."""

TIGHT_AFTER, TIGHT_BEFORE = frozenset("([."), frozenset(")],:.?")
"""What no blank follows, and what none precedes."""

ELEMENTS = re.compile(r"b?float[0-9]*|u?int[0-9]*|bool")
"""Words that are written together with the shape behind them: ``float[2, 3]``."""


@dataclass(frozen=True)
class Line:
    """One line as written: its pieces, its comment, the brackets open where it begins, whether it goes on one before.

    ``depth`` counts a bracket that the line itself begins by closing as closed. Pieces have the blanks before them.
    """

    pieces: tuple[str, ...]
    comment: str
    depth: int
    goes_on: bool

    @property
    def text(self) -> str:
        """Lexemes with blanks between them as they belong."""
        return "".join(self.pieces)

    @property
    def begins(self) -> str | None:
        """The word that a statement of one line begins with, where its lines are aligned."""
        word = self.pieces[0].rstrip() if self.pieces and not self.goes_on else None
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
    for (begins, depth), group in groupby(_Lines(source), key=lambda line: (line.begins, line.depth)):
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


class _Lines:
    """One walk over the lines of a source without mistakes."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.words = vocabulary()
        self.rows: dict[int, list[Lexeme]] = {}
        for lexeme in lexemes(source.text):
            self.rows.setdefault(lexeme.line, []).append(lexeme)
        statements = stretches(source, lexemes(source.text), self.words)
        self.firsts = {statement.start for statement in statements}
        self.held = {lexeme.start for statement in statements for lexeme in statement.lexemes}
        self.opened = {s.lexemes[-1].start: s.word for s in statements if s.word in self.words.blocks}
        self.blocks: list[str] = []
        self.brackets = 0
        self.last: Lexeme | None = None
        self.is_sign = False  # whether the last lexeme is the sign of what follows

    def __iter__(self) -> Iterator[Line]:
        for number, row in enumerate(self.source.text.split("\n"), start=1):
            found = self.rows.get(number, [])
            end = found[-1].end - self.source.line_starts[number - 1] if found else 0
            goes_on = bool(found) and not self.brackets and found[0].start in self.held - self.firsts
            closing = sum(1 for _ in takewhile(lambda lexeme: lexeme.kind in self.words.closings, found))
            depth, width = len(self.blocks) + self.brackets - closing, self.width(found)
            pieces = [piece for lexeme in found for piece in self.pieces(lexeme)]
            if pieces:
                pieces[0] = pieces[0].lstrip().ljust(width)
            yield Line(tuple(pieces), row[end:].strip(), depth, goes_on)

    def width(self, found: Sequence[Lexeme]) -> int:
        """How wide the first word of a line is written."""
        is_first = bool(found and self.blocks) and found[0].start in self.firsts
        return WIDTHS.get(self.blocks[-1], 0) if is_first and found[0].text not in self.words.blocks else 0

    def pieces(self, lexeme: Lexeme) -> Iterator[str]:
        """A lexeme with the blank before it; as several where it begins with a sign that stands between others."""
        computes = bool(self.blocks) and self.blocks[-1] in self.words.computing
        for one in signed(lexeme) if computes and self.is_behind_term() else (lexeme,):
            yield " " * self.is_apart(one, computes) + one.text
            self.is_sign = one.kind == "MINUS" and not self.is_behind_term()
            self.count(one)
            self.last = one

    def count(self, lexeme: Lexeme) -> None:
        """Keep count of brackets and blocks."""
        if lexeme.start in self.opened:
            self.blocks.append(self.opened[lexeme.start])
        elif lexeme.text == "}" and self.is_of_block(lexeme):
            self.blocks.pop()
        else:
            self.brackets += (lexeme.kind in self.words.openings) - (lexeme.kind in self.words.closings)

    def is_of_block(self, lexeme: Lexeme) -> bool:
        """Whether a brace is that of a block."""
        return lexeme.start in self.opened if lexeme.text == "{" else lexeme.start not in self.held

    def is_behind_term(self) -> bool:
        """Whether a sign that comes now would stand between two terms."""
        last = self.last
        return last is not None and (last.kind in ("NAME", "NUMBER", "STRING") or last.kind in self.words.closings)

    def is_apart(self, lexeme: Lexeme, computes: bool) -> bool:
        """Whether a blank belongs before a lexeme."""
        last, text = self.last, lexeme.text
        if last is None or last.text in TIGHT_AFTER or text in TIGHT_BEFORE or self.is_sign:
            return False
        if text in ("{", "}") or last.text == "{":
            brace = last if text not in ("{", "}") else lexeme
            return self.is_of_block(brace) and (last.text != "{" or self.is_of_block(last))
        if text == "[":
            return not (computes and ELEMENTS.fullmatch(last.text))
        if text == "...":
            return last.kind != "NAME"
        return not (text == "(" and (last.kind == "NAME" or last.text == ")"))


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
