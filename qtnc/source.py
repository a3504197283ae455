"""Text with places in it: a source, a span of it, and the caret that points there."""

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property

EXCERPT = 160
"""Characters of a source line that an excerpt shows."""


@dataclass(frozen=True)
class Source:
    """A named text.

    ``name`` is what messages print before the line number, usually a path; ``included`` is the statement of another
    source that it stands for.
    """

    name: str
    text: str = field(repr=False)
    included: "Span | None" = field(default=None, repr=False)

    @cached_property
    def line_starts(self) -> list[int]:
        """Offset of the first character of every line."""
        return [0, *(i + 1 for i, char in enumerate(self.text) if char == "\n")]

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of ``offset``, both counted from 1."""
        line = bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """Text of line ``number`` (from 1), without its newline."""
        start = self.line_starts[number - 1]
        end = self.text.find("\n", start)
        return self.text[start : end if end >= 0 else None].rstrip("\r")


@dataclass(frozen=True)
class Span:
    """Characters ``start`` (inclusive) to ``end`` (exclusive) of a source."""

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        """Line of the first character, counted from 1."""
        return self.source.position(self.start)[0]

    @property
    def column(self) -> int:
        """Column of the first character, counted from 1."""
        return self.source.position(self.start)[1]

    @property
    def text(self) -> str:
        """The characters themselves."""
        return self.source.text[self.start : self.end]

    def place(self) -> str:
        """``name:line:column``, as editors and terminals link it."""
        return f"{self.source.name}:{self.line}:{self.column}"

    @property
    def order(self) -> tuple[int, ...]:
        """What spans are sorted by: their order in the text, a source standing where it is included."""
        return (*(self.source.included.order if self.source.included else ()), self.start)

    @property
    def chain(self) -> "tuple[Span, ...]":
        """The statements that include its source, the innermost first."""
        outer = self.source.included
        return (outer, *outer.chain) if outer else ()

    def seen_from(self, other: "Span") -> str:
        """``line 4``, or ``name:4`` where ``other`` is in another source."""
        return f"line {self.line}" if self.source.name == other.source.name else f"{self.source.name}:{self.line}"

    def excerpt(self) -> str:
        """The source line with carets under the span; of a very long line, the part around it."""
        line, column = self.source.position(self.start)
        code = self.source.line(line)
        width = max(1, min(self.end - self.start, len(code) - column + 1))
        first = max(0, column - 1 - EXCERPT // 4) if len(code) > EXCERPT else 0
        code, column = code[first : first + EXCERPT], column - first
        width = min(width, max(1, len(code) - column + 1))
        # What a terminal would act on is shown as a box; a tab stays a tab, also under the code, so that the caret
        # lands where the terminal puts it.
        code = "".join(char if char.isprintable() or char == "\t" else "\N{REPLACEMENT CHARACTER}" for char in code)
        indent = "".join("\t" if char == "\t" else " " for char in code[: column - 1]) + " " * (column - 1 - len(code))
        gutter = " " * len(str(line))
        return f"{line} | {code}\n{gutter} | {indent}{'^' * width}"
