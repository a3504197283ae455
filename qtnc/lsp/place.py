"""The place of a cursor in a spec: the statement so far, what is typed there, and what it may mean."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from qtnc.lsp.reading import Reading
from qtnc.source import Source
from qtnc.spec.ahead import Path, path_to, paths, words
from qtnc.spec.layout import Lexeme, Stretch, stretches
from qtnc.spec.syntax import MAX_LENGTH, lexemes, spelling, vocabulary

QUOTES = {"STRING": '"', "REGEX": 're"'}
"""What strings begin with, by the kind of their lexeme; the longer is looked for first."""

NESTED = 8
"""Blocks that may be open where something is typed; the language nests two."""


@dataclass(frozen=True)
class Place:
    """Where a word, a string or nothing yet stands.

    Attributes
    ----------
    before : lexemes of its statement up to there.
    leaf : what is typed, as the kind that it would be.
    block : the word that begins the block in which it stands.
    meanings : what it may be in its statement.
    """

    before: tuple[Lexeme, ...]
    leaf: Lexeme
    block: str | None
    meanings: tuple[Path, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """Words of the language that may stand there."""
        if not self.before:
            return vocabulary().blocks[self.block] if self.block else vocabulary().statements
        return words(self.before, self.block)

    @property
    def typed(self) -> str:
        """What is typed, without the quote of a string."""
        return self.leaf.text.removeprefix(QUOTES.get(self.leaf.kind, ""))

    @property
    def start(self) -> int:
        """Offset of what is typed, behind the quote of a string."""
        return self.leaf.end - len(self.typed)


def place_at(text: str, offset: int) -> Place | None:
    """The place of a cursor; None in a comment, behind a number and where nothing can be said."""
    if len(text) > MAX_LENGTH:
        return None
    source = Source("", text[:offset])
    found = lexemes(source.text)
    if "#" in source.text[found[-1].end if found else 0 :].rpartition("\n")[2]:
        return None
    line = source.position(offset)[0]
    leaf = Lexeme("NAME", "", offset, line)
    if found and found[-1].end == offset:
        last = found[-1]
        kind = next((kind for kind in ("REGEX", "STRING") if last.text.startswith(QUOTES[kind])), None)
        if kind and last.kind in vocabulary().mistakes:
            leaf = replace(found.pop(), kind=kind)
        elif last.text.isidentifier():
            leaf = replace(found.pop(), kind="NAME")
            if found and found[-1].text == "<" and found[-1].end == leaf.start:
                recipe = Lexeme("RECIPE", f"<{leaf.text}", found[-1].start, line)
                if _at(source, found[:-1], recipe).meanings:
                    return _at(source, found[:-1], recipe)
        elif last.text[0] not in _closed() or kind:
            return None
    return _at(source, found, leaf)


def leaf_at(reading: Reading, offset: int) -> tuple[Stretch, Lexeme] | None:
    """The statement and the lexeme that touch an offset; of two that do, a word."""
    touching = [
        (stretch, lexeme)
        for stretch in reading.stretches
        for lexeme in stretch.lexemes
        if lexeme.start <= offset <= lexeme.end
    ]
    return max(touching, key=lambda found: (found[1].text[0].isalnum(), found[1].start), default=None)


def meaning_at(reading: Reading, stretch: Stretch, lexeme: Lexeme) -> Path:
    """What a lexeme is in its statement, be that finished or not; nothing for a word of the language."""
    for statement in reading.statements:
        if statement.span.start <= lexeme.start and lexeme.end <= statement.span.end:
            return _to_leaf(path_to(statement, lexeme.start, lexeme.end))
    before = stretch.lexemes[: stretch.lexemes.index(lexeme)]
    block = stretch.block.word if stretch.block else None
    kind = "NAME" if lexeme.text.isidentifier() and lexeme.text not in words(before, block) else lexeme.kind
    found = paths(reading.source, before, replace(lexeme, kind=kind), block) if before else ()
    return found[0] if found else ()


def _to_leaf(path: Path) -> Path:
    """A path, where it ends at a leaf: words of the language are in the span of a node, and are none."""
    if not path:
        return ()
    value = getattr(path[-1].node, path[-1].field)
    leaves = value if isinstance(value, tuple) else (value,)
    return path if any(hasattr(leaf, "text") or hasattr(leaf, "name") for leaf in leaves) else ()


def _at(source: Source, before: Sequence[Lexeme], leaf: Lexeme) -> Place:
    # A word that begins statements would begin one here too, and an open block needs its end to be known as one.
    stand_in = replace(leaf, text="_")
    ends = [Lexeme("RBRACE", "}", leaf.end + line, leaf.line + line) for line in range(1, NESTED + 1)]
    found = stretches(source, [*before, stand_in, *ends], vocabulary())
    stretch = next((s for s in found if any(lexeme is stand_in for lexeme in s.lexemes)), Stretch([stand_in]))
    begun = tuple(stretch.lexemes[: next(i for i, lexeme in enumerate(stretch.lexemes) if lexeme is stand_in)])
    block = stretch.block.word if stretch.block else None
    meanings = paths(source, begun, leaf, block) if begun else ()
    return Place(begun, leaf, block, meanings)


def _closed() -> str:
    """First characters of what is whole in itself: a cursor behind it begins something new."""
    return "".join(text[-1] for text in spelling().values() if not text[0].isalnum()) + "~<>=!"
