"""Lines to statements: a newline ends a statement unless a bracket is open or the line ends in an operator.

This is also where reading recovers from a mistake, so that one bad statement hides no other.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from qtnc.errors import Diagnostic
from qtnc.source import Source, Span

MAX_DEPTH = 100
"""Brackets within brackets. Deeper is no spec, and recursion over the tree stays within Python's stack."""

MAX_PROBLEMS = 10
"""What is said of one statement before it counts as hopeless."""


@dataclass(frozen=True)
class Lexeme:
    """A piece of text and the grammar's name for it."""

    kind: str
    text: str
    start: int
    line: int

    @property
    def end(self) -> int:
        """Offset after the last character."""
        return self.start + len(self.text)


@dataclass(frozen=True)
class Vocabulary:
    """What the grammar says about lines: kinds of lexemes, and words that begin a statement."""

    operators: frozenset[str]
    openings: frozenset[str]
    closings: frozenset[str]
    mistakes: frozenset[str]
    statements: tuple[str, ...]
    reserved: tuple[str, ...]


@dataclass
class Stretch:
    """The lexemes of one statement, and what is wrong with it before any grammar is asked."""

    lexemes: list[Lexeme]
    problems: list[Diagnostic] = field(default_factory=list)

    @property
    def start(self) -> int:
        """Offset of the first character."""
        return self.lexemes[0].start

    @property
    def end(self) -> int:
        """Offset after the last character."""
        return self.lexemes[-1].end


PARTNER = {"(": ")", "[": "]", "{": "}"}


def stretches(source: Source, lexemes: Sequence[Lexeme], vocabulary: Vocabulary) -> Iterator[Stretch]:
    """Divide ``lexemes`` into statements.

    Parameters
    ----------
    source
        The text that the lexemes are from.
    lexemes
        Everything in it but space and comments.
    vocabulary
        What the grammar says about lines.

    Yields
    ------
    Stretch
        In order of place. One with problems is not worth parsing.
    """
    brackets: list[Lexeme] = []
    current = Stretch([])
    for i, lexeme in enumerate(lexemes):
        if current.lexemes and lexeme.line > current.lexemes[-1].line:
            goes_on = bool(brackets) or current.lexemes[-1].kind in vocabulary.operators
            # A line that can only be a statement ends the one before, however unfinished. Not so in a block of a later
            # version, which may hold statements.
            in_block = bool(brackets) and current.lexemes[0].text in vocabulary.reserved
            if not goes_on or (not in_block and _begins(lexemes[i : i + 2], vocabulary)):
                yield _close(current, brackets, source)
                current, brackets = Stretch([]), []
        current.lexemes.append(lexeme)
        if len(current.problems) >= MAX_PROBLEMS:
            continue
        if lexeme.kind in vocabulary.openings:
            brackets.append(lexeme)
            if len(brackets) == MAX_DEPTH + 1:
                current.problems.append(_at(lexeme, source, f"brackets are nested deeper than {MAX_DEPTH}"))
        elif lexeme.kind in vocabulary.closings:
            current.problems += _mismatch(lexeme, brackets, source)
        else:
            current.problems += _mistake(lexeme, source, lexeme.kind in vocabulary.mistakes)
    if current.lexemes:
        yield _close(current, brackets, source)


def _begins(pair: Sequence[Lexeme], vocabulary: Vocabulary) -> bool:
    """Whether a line is a new statement for sure: its first word begins one, and a word follows on the line."""
    if len(pair) < 2 or pair[0].line != pair[1].line:
        return False
    word, after = pair
    known = word.text in vocabulary.statements or word.text in vocabulary.reserved
    return known and after.kind not in vocabulary.operators and (after.text[0].isalnum() or after.text[0] == "_")


def _close(stretch: Stretch, brackets: list[Lexeme], source: Source) -> Stretch:
    if brackets and len(stretch.problems) < MAX_PROBLEMS:
        # The innermost is the likeliest culprit; naming the others too would say one thing many times.
        opening = brackets[-1]
        way_out = f"add the missing `{PARTNER[opening.text]}`"
        stretch.problems.append(_at(opening, source, f"`{opening.text}` is not closed", way_out))
    return stretch


def _mismatch(closing: Lexeme, brackets: list[Lexeme], source: Source) -> Iterator[Diagnostic]:
    if not brackets:
        yield _at(closing, source, f"`{closing.text}` closes nothing")
        return
    opening = brackets.pop()
    if PARTNER[opening.text] != closing.text:
        if brackets and PARTNER[brackets[-1].text] == closing.text:
            brackets.pop()  # it was meant for the bracket outside, which is no second error
        wanted = f"`{PARTNER[opening.text]}` closes it"
        yield _at(closing, source, f"`{opening.text}` is closed by `{closing.text}`", wanted)


def _mistake(lexeme: Lexeme, source: Source, is_mistake: bool) -> Iterator[Diagnostic]:
    if is_mistake and lexeme.text.startswith(('"', 're"')):
        yield _at(lexeme, source, "a string is not closed", 'close it by `"` on the same line')
    elif is_mistake:
        yield _at(lexeme, source, f"stray character {describe(lexeme.text)}")
    else:
        for i, char in enumerate(lexeme.text):
            if unicodedata.category(char) in ("Cc", "Cs") and char != "\t":
                span = Span(source, lexeme.start + i, lexeme.start + i + 1)
                yield Diagnostic(f"{describe(char)} in a string", span)
                return


def _at(lexeme: Lexeme, source: Source, message: str, way_out: str | None = None) -> Diagnostic:
    return Diagnostic(message, Span(source, lexeme.start, lexeme.end), way_out)


def describe(char: str) -> str:
    """Name a character so that it can be found: itself if it prints on any terminal, else its code point and name."""
    if char.isascii() and char.isprintable():
        return f"`{char}`"
    name = unicodedata.name(char, "a control character" if unicodedata.category(char) == "Cc" else "")
    return f"U+{ord(char):04X}" + (f" ({name.lower()})" if name else "")
