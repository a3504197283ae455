"""Places in a text as editors count them: lines from 0, and within a line units of the encoding that was agreed on."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from lsprotocol.types import Position, PositionEncodingKind, Range

from qtnc.source import Span

LINE_END: Final = re.compile(r"\r\n|\r|\n")
"""What ends a line of the protocol: less than Python's ``splitlines`` knows, more than the language."""

BASIC: Final = 0xFFFF
"""Characters above it are two units of UTF-16."""


@dataclass(frozen=True)
class Positions:
    """Offsets in ``text`` to positions and back."""

    text: str
    encoding: PositionEncodingKind | str = PositionEncodingKind.Utf16

    @cached_property
    def starts(self) -> list[int]:
        """Offset of the first character of every line."""
        return [0, *(end.end() for end in LINE_END.finditer(self.text))]

    def position(self, offset: int) -> Position:
        """Position of the character at ``offset``."""
        line = bisect_right(self.starts, offset) - 1
        return Position(line, sum(self._units(self.text[self.starts[line] : offset])))

    def offset(self, position: Position) -> int:
        """Offset of a position; one behind the end of its line is that end, one below the text the end of the text."""
        if position.line >= len(self.starts):
            return len(self.text)
        start = self.starts[position.line]
        end = LINE_END.search(self.text, start)
        left = position.character
        for place, units in enumerate(self._units(self.text[start : end.start() if end else None])):
            if left < units:
                return start + place
            left -= units
        return end.start() if end else len(self.text)

    def range(self, start: int, end: int) -> Range:
        """Range from one offset to another."""
        return Range(self.position(start), self.position(end))

    def of(self, span: Span) -> Range:
        """Range of a span of this text."""
        return self.range(span.start, span.end)

    def _units(self, text: str) -> Iterator[int]:
        """Units of every character."""
        match self.encoding:
            case PositionEncodingKind.Utf8:
                return (len(char.encode("utf-8", "surrogatepass")) for char in text)
            case PositionEncodingKind.Utf32:
                return (1 for _ in text)
        return (1 if ord(char) <= BASIC else 2 for char in text)
