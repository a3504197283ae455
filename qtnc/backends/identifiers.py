"""Text from hostile models in generated code: identifiers, and comments that cannot be left."""

import keyword
import re
from collections.abc import Iterable
from typing import Final

LONGEST_IDENTIFIER: Final = 96


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


class Namespace:
    """Identifiers already taken; ``claim`` makes a new one near a hint."""

    def __init__(self, reserved: Iterable[str] = ()) -> None:
        self._taken = set(reserved)
        self._next: dict[str, int] = {}

    def claim(self, hint: str, fallback: str = "value") -> str:
        """Take an identifier like ``hint`` that nobody has."""
        base = identifier(hint, fallback)
        name = base
        while name in self._taken:
            self._next[base] = self._next.get(base, 1) + 1
            name = f"{base}_{self._next[base]}"
        self._taken.add(name)
        return name


def identifier(text: str, fallback: str = "value") -> str:
    """Nearest ASCII identifier: not a keyword, no leading underscore, of bounded length."""
    cleaned = re.sub(r"[^A-Za-z0-9]+", "_", text[: 4 * LONGEST_IDENTIFIER]).strip("_")
    cleaned = cleaned[:LONGEST_IDENTIFIER].rstrip("_") or fallback
    if cleaned[0].isdigit():
        cleaned = f"{fallback}_{cleaned}"
    return f"{cleaned}_" if keyword.iskeyword(cleaned) or keyword.issoftkeyword(cleaned) else cleaned


def comment(text: str, limit: int = 90) -> str:
    """One line of printable ASCII without quotes or backslashes, so that it can end no comment and no docstring."""
    plain = "".join(c if " " <= c <= "~" and c not in "\"'\\`" else "?" for c in text[:limit])
    return plain + ("..." if len(text) > limit else "")
