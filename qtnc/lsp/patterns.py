"""Layer names as patterns that are begun go on: segment by segment, as globs or as regular expressions."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

import re2

from qtnc.spec.pattern import Pattern, PatternError

SEPARATORS: Final = "./"
"""What stands between the segments of a name."""

MOST: Final = 500
"""Continuations that are offered."""

ANY_NUMBER: Final = {"STRING": "*", "REGEX": r"\d+"}
"""What stands for any number in a pattern, by the kind of its lexeme."""


def continuations(typed: str, kind: str, names: Iterable[str]) -> Mapping[str, int]:
    """How a pattern may go on by one segment, and how many layers begin so.

    Parameters
    ----------
    typed
        The pattern so far; up to its last separator it is taken as a pattern, then as the beginning of a segment.
    kind
        ``STRING`` for a glob, ``REGEX`` for a regular expression.
    names
        Of the layers.

    Returns
    -------
    dict
        Whole patterns, those that number segments by any number first where several layers have them.
    """
    cut = max((typed.rfind(separator) for separator in SEPARATORS), default=-1) + 1
    head, tail = typed[:cut], typed[cut:]
    found: Counter[str] = Counter()
    for name in names:
        for segment in {_segment(name, at) for at in _ends(head, kind, name)}:
            number = re.fullmatch(r"[0-9]+([./]?)", segment)
            forms = [escaped(segment, kind)]
            if number:
                forms.append(ANY_NUMBER[kind] + escaped(number[1], kind))
            found.update(head + form for form in forms if form.startswith(tail))
    return dict(found.most_common(MOST))


def escaped(text: str, kind: str) -> str:
    """A part of a name as a pattern that stands in a string of a spec.

    In a glob what cannot be written is any one character: a quote, what is no printable character, and the wildcards
    themselves.
    """
    if kind == "STRING":
        return "".join("?" if char in '"*' or not char.isprintable() else char for char in text)
    return "".join(_escaped(char) for char in text)


def _escaped(char: str) -> str:
    if char.isprintable():
        return str(re2.escape(char)) if char.isascii() and not char.isalnum() and char != "_" else char
    return f"\\x{{{ord(char):x}}}"


def _ends(head: str, kind: str, name: str) -> list[int]:
    """Where in a name, at the beginning of a segment, what is already typed may end."""
    if not head:
        return [0]
    pattern = Pattern(head, "glob") if kind == "STRING" else Pattern(f"^(?:{head})$", "regex")
    starts = [place + 1 for place, char in enumerate(name) if char in SEPARATORS]
    try:
        return [start for start in starts if pattern.matches(name[:start])]
    except PatternError:
        return []


def _segment(name: str, start: int) -> str:
    """The segment that begins at ``start``, with the separator behind it."""
    ends = (name.find(separator, start) for separator in SEPARATORS)
    end = min((end for end in ends if end >= 0), default=len(name))
    return name[start : end + 1]
