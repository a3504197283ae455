"""What a rule says about what it found, and what it puts in its place: terms over captured names.

A term is computed at compile time, or describes a node. Functions are a closed set without side effects
(:data:`qtnc.rules.functions.FUNCTIONS`), so that a rule can do nothing but compute.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal as OneOf
from typing import Protocol

from qtnc.source import Span

Sign = OneOf["+", "-", "*", "/", "//", "%", "**", "@", "<", "<=", ">", ">=", "==", "!=", "and", "or"]


@dataclass(frozen=True)
class Number:
    """A number as written; percent and units are resolved by then."""

    value: float | int
    span: Span | None = None


@dataclass(frozen=True)
class Text:
    """A text, such as the value of an attribute."""

    value: str
    span: Span | None = None


@dataclass(frozen=True)
class Ref:
    """A captured value, size, attribute, or an earlier ``let``; also a word of a function, such as an element type."""

    name: str
    span: Span | None = None


@dataclass(frozen=True)
class Items:
    """``[a, b]``: a list of numbers or of texts."""

    items: "tuple[Term, ...]"
    span: Span | None = None


@dataclass(frozen=True)
class Negative:
    """``-a``."""

    part: "Term"
    span: Span | None = None


@dataclass(frozen=True)
class Not:
    """``not a``."""

    part: "Term"
    span: Span | None = None


@dataclass(frozen=True)
class Binary:
    """``a SIGN b``: numpy's arithmetic on constants and numbers, comparisons, and ``and`` and ``or`` of truths."""

    sign: Sign
    left: "Term"
    right: "Term"
    span: Span | None = None


class Pattern(Protocol):
    """What a text can be held to."""

    def matches(self, text: str) -> bool:
        """Whether the text fits."""
        ...


@dataclass(frozen=True)
class Matches:
    """``name(x) ~ "glob"`` or ``~ re"..."``."""

    part: "Term"
    pattern: Pattern
    span: Span | None = None


@dataclass(frozen=True)
class Call:
    """A function of the closed set."""

    function: str
    arguments: "tuple[Term, ...]"
    span: Span | None = None


@dataclass(frozen=True)
class Apply:
    """A new node: an operator, or a captured operation done again with its attributes, on terms.

    ``op`` is an operator as :class:`qtnc.rules.pattern.Operation` has them, or with ``again`` the name of a captured
    operation, whose attributes those here are written over.
    """

    op: str
    inputs: "tuple[Term | None, ...]"
    attributes: "tuple[tuple[str, Term], ...]" = ()
    again: bool = False
    span: Span | None = None


Term = Number | Text | Ref | Items | Negative | Not | Binary | Matches | Call | Apply


@dataclass(frozen=True)
class Step:
    """``let a = TERM`` or ``replace y = TERM``; several names are the results of one node.

    ``replaces`` says that the names are results of the match, whose readers read the new ones from then on.
    """

    names: tuple[str, ...]
    term: Term
    replaces: bool
    span: Span | None = None


@dataclass(frozen=True)
class Where:
    """``where CONDITION``, which must hold for the rule to go on."""

    condition: Term


def parts_of(term: Term) -> Iterator[Term]:
    """The term and all within it, outermost first, in order of the text."""
    yield term
    inner: tuple[Term | None, ...]
    match term:
        case Items(items):
            inner = items
        case Negative(part) | Not(part) | Matches(part):
            inner = (part,)
        case Binary(_, left, right):
            inner = (left, right)
        case Call(_, arguments):
            inner = arguments
        case Apply(_, inputs, attributes):
            inner = (*inputs, *(value for _, value in attributes))
        case _:
            inner = ()
    for one in inner:
        if one is not None:
            yield from parts_of(one)
