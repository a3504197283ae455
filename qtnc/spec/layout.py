"""Lines to statements: a newline ends a statement unless a bracket is open or the line ends in an operator.

The braces of a block, such as a stage, are no such bracket: they divide statements, and do not hold one together. This
is also where reading recovers from a mistake, so that one bad statement hides no other.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    """What the grammar says about lines: kinds of lexemes, and words that begin a statement.

    ``blocks`` has the words that begin one which a ``{`` ends and a ``}`` closes, and by them those that may begin what
    stands between. In those that are ``computing`` a line that ends in ``arithmetic`` goes on too; elsewhere kinds that
    are ``foreign`` are mistakes.
    """

    operators: frozenset[str]
    openings: frozenset[str]
    closings: frozenset[str]
    mistakes: frozenset[str]
    statements: tuple[str, ...]
    blocks: Mapping[str, tuple[str, ...]]
    computing: frozenset[str]
    arithmetic: frozenset[str]
    foreign: frozenset[str]
    reserved: tuple[str, ...]


@dataclass(eq=False)
class Stretch:
    """The lexemes of one statement, and what is wrong with it before any grammar is asked.

    ``block`` is the first line of the block that it stands in; ``closed`` is whether this is one, and has its ``}``.
    """

    lexemes: list[Lexeme]
    problems: list[Diagnostic] = field(default_factory=list)
    block: "Stretch | None" = None
    closed: bool = False

    @property
    def start(self) -> int:
        """Offset of the first character."""
        return self.lexemes[0].start

    @property
    def word(self) -> str:
        """Its first word."""
        return self.lexemes[0].text

    @property
    def opens(self) -> bool:
        """Whether it ends in a ``{``."""
        return self.lexemes[-1].text == "{"


PARTNER = {"(": ")", "[": "]", "{": "}"}


def stretches(source: Source, lexemes: Sequence[Lexeme], vocabulary: Vocabulary) -> list[Stretch]:
    """Divide ``lexemes`` into statements.

    Parameters
    ----------
    source
        The text that the lexemes are from.
    lexemes
        Everything in it but space and comments.
    vocabulary
        What the grammar says about lines.

    Returns
    -------
    list of Stretch
        In order of place. One with problems is not worth parsing.
    """
    division = _Division(source, vocabulary)
    for i, lexeme in enumerate(lexemes):
        division.take(lexeme, lexemes[i + 1] if i + 1 < len(lexemes) else None)
    return division.result()


class _Division:
    """One walk over the lexemes of a source."""

    def __init__(self, source: Source, vocabulary: Vocabulary) -> None:
        self.source = source
        self.vocabulary = vocabulary
        self.found: list[Stretch] = []
        self.current = Stretch([])
        self.brackets: list[Lexeme] = []
        self.blocks: list[Stretch] = []  # those that are open, by their first lines
        self.brace: Lexeme | None = None  # the last one that closed a block

    def take(self, lexeme: Lexeme, after: Lexeme | None) -> None:
        """Add a lexeme to the statement that it belongs to."""
        if self.current.lexemes and lexeme.line > self.current.lexemes[-1].line and not self.goes_on(lexeme, after):
            self.finish()
        if lexeme.text == "}" and self.blocks and not self.is_held():
            self.finish()
            self.blocks.pop().closed = True
            self.brace = lexeme
            return
        current, brace = self.current, self.brace
        if not current.lexemes and brace and brace.line == lexeme.line and lexeme.text != "}":
            current.problems.append(_at(lexeme, self.source, "a `}` ends its line", "begin a new line after it"))
        current.lexemes.append(lexeme)
        if self.opens_block(lexeme):
            if lexeme.line > current.lexemes[0].line:
                message = f"the `{{` of {article(current.word)} stands on its first line"
                current.problems.append(_at(lexeme, self.source, message, "write it at the end of the line above"))
            self.finish()
        elif len(current.problems) < MAX_PROBLEMS:
            current.problems += self.problems(lexeme)

    def problems(self, lexeme: Lexeme) -> Iterable[Diagnostic]:
        """Keep count of brackets, and say what is wrong with a lexeme on its own."""
        if lexeme.kind in self.vocabulary.closings:
            return _mismatch(lexeme, self.brackets, self.source)
        if lexeme.kind not in self.vocabulary.openings:
            foreign = lexeme.kind in self.vocabulary.foreign and not self.computes
            return _mistake(lexeme, self.source, foreign or lexeme.kind in self.vocabulary.mistakes)
        self.brackets.append(lexeme)
        if len(self.brackets) != MAX_DEPTH + 1:
            return ()
        return [_at(lexeme, self.source, f"brackets are nested deeper than {MAX_DEPTH}")]

    def goes_on(self, lexeme: Lexeme, after: Lexeme | None) -> bool:
        """Whether the statement goes on with the first lexeme of a new line."""
        if self.opens_block(lexeme):
            return True
        if not self.brackets and not self.is_operator(self.current.lexemes[-1]):
            return False
        # A line that can only be a statement ends the one before, however unfinished. Not so in a block of a later
        # version, which may hold statements.
        in_block = bool(self.brackets) and self.current.word in self.vocabulary.reserved
        return in_block or not self.begins(lexeme, after)

    def begins(self, word: Lexeme, after: Lexeme | None) -> bool:
        """Whether a line is a new statement for sure: its first word begins one, and a word or its `{` follows."""
        if after is None or after.line != word.line:
            return False
        words = self.vocabulary
        known = word.text in words.statements or word.text in words.reserved or word.text in self.inside
        is_word = after.text[0].isalnum() or after.text[0] == "_"
        is_block = after.text == "{" and word.text in words.blocks
        return known and after.kind not in words.operators and (is_word or is_block)

    @property
    def inside(self) -> tuple[str, ...]:
        """Words that may begin a statement in the innermost block that is open."""
        return self.vocabulary.blocks[self.blocks[-1].word] if self.blocks else ()

    @property
    def computes(self) -> bool:
        """Whether the innermost block that is open has arithmetic in it."""
        return bool(self.blocks) and self.blocks[-1].word in self.vocabulary.computing

    def is_operator(self, lexeme: Lexeme) -> bool:
        """Whether a line that ends so goes on."""
        return lexeme.kind in self.vocabulary.operators or (self.computes and lexeme.kind in self.vocabulary.arithmetic)

    def is_block(self) -> bool:
        """Whether the statement is the first line of a block."""
        return self.current.word in self.vocabulary.blocks

    def opens_block(self, lexeme: Lexeme) -> bool:
        """Whether a lexeme of the statement is the ``{`` of a block."""
        return lexeme.text == "{" and not self.brackets and self.is_block()

    def is_held(self) -> bool:
        """Whether a ``}`` has a partner within its statement, and does not close the block around it."""
        return bool(self.brackets) and "{" in (self.brackets[0].text, self.brackets[-1].text)

    def finish(self) -> None:
        """End the statement, if one has begun."""
        current, brackets = self.current, self.brackets
        if not current.lexemes:
            return
        if brackets and len(current.problems) < MAX_PROBLEMS:
            # The innermost is the likeliest culprit; naming the others too would say one thing many times.
            current.problems.append(self.unclosed(brackets[-1]))
        current.block = self.blocks[-1] if self.blocks else None
        # The first line of a block may lack its `{`. It is wrong then, but the `}` that follows is not; unless that
        # belongs to a block around it.
        if self.is_block() and (current.opens or not self.blocks or current.word in self.inside):
            self.blocks.append(current)
        self.found.append(current)
        self.current, self.brackets = Stretch([]), []

    def unclosed(self, opening: Lexeme) -> Diagnostic:
        """Say that a bracket has no partner."""
        way_out = f"add the missing `{PARTNER[opening.text]}`"
        return _at(opening, self.source, f"`{opening.text}` is not closed", way_out)

    def result(self) -> list[Stretch]:
        """Return what was found."""
        self.finish()
        for block in self.blocks:
            if block.opens:
                block.problems.append(self.unclosed(block.lexemes[-1]))
        ended: set[Stretch] = set()
        for stretch in self.found:
            # Nobody knows where an open block was meant to end: it does before what cannot stand in it.
            while stretch.block and not stretch.block.closed:
                if stretch.block not in ended and stretch.word in self.vocabulary.blocks[stretch.block.word]:
                    break
                ended.add(stretch.block)
                stretch.block = stretch.block.block
        return self.found


def article(word: str) -> str:
    """``a stage``, ``an example``."""
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


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
