"""Names, numbers, strings and lists of them, as written: what all else in a spec is made of."""

from dataclasses import dataclass

from qtnc.source import Span


@dataclass(frozen=True)
class Name:
    """A word the user chose or refers to."""

    text: str
    span: Span


@dataclass(frozen=True)
class Number:
    """Digits with whatever unit follows, unread: ``64Ki``, ``30%``, ``8x16``, ``*x16``."""

    text: str
    span: Span


@dataclass(frozen=True)
class String:
    """Text between quotes, without the quotes."""

    text: str
    span: Span


@dataclass(frozen=True)
class Regex:
    """Text between the quotes of ``re"..."``."""

    text: str
    span: Span


@dataclass(frozen=True)
class Sequence:
    """Values between ``[`` and ``]``."""

    items: "tuple[Value, ...]"
    span: Span


Value = Name | Number | String | Regex | Sequence
