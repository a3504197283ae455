"""Text to tokens and back with a plain list of pieces; the standard library suffices."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path


def load_pieces(path: str | Path) -> list[str]:
    """Read `vocab.json`: a list of strings, in which a piece's place is its token."""
    pieces: list[str] = json.loads(Path(path).read_text(encoding="ascii"))
    return pieces


def encode(text: str, pieces: Sequence[str]) -> list[int]:
    """Cut text into the longest pieces, from left to right.

    Every printable ASCII character and the newline is a piece; anything else reads as a question mark.
    """
    token = {piece: place for place, piece in enumerate(pieces)}
    longest = max(map(len, pieces))
    tokens, start = [], 0
    while start < len(text):
        for end in range(min(len(text), start + longest), start, -1):
            if (found := token.get(text[start:end])) is not None:
                break
        else:
            found, end = token["?"], start + 1
        tokens.append(found)
        start = end
    return tokens


def decode(tokens: Iterable[int], pieces: Sequence[str]) -> str:
    """Join the pieces."""
    return "".join(pieces[token] for token in tokens)
