"""Text with places in it: a source, a span of it, and the caret that points there."""

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Source:
    """A named text. ``name`` is what messages print before the line number, usually a path."""

    name: str
    text: str

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

    def excerpt(self) -> str:
        """The source line with carets under the span."""
        line, column = self.source.position(self.start)
        code = self.source.line(line)
        width = max(1, min(self.end - self.start, len(code) - column + 1))
        gutter = " " * len(str(line))
        # A tab stays a tab under the code, so that the caret lands where the terminal puts it.
        indent = "".join("\t" if char == "\t" else " " for char in code[: column - 1])
        return f"{line} | {code}\n{gutter} | {indent}{'^' * width}"
