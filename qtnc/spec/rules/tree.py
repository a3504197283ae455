"""What a rule says, as written: one class per construct, a span on each, no meaning yet."""

from dataclasses import dataclass

from qtnc.source import Span
from qtnc.spec.atoms import Name, Number, Regex, Sequence, String, Value


@dataclass(frozen=True)
class Sign:
    """What stands between or behind parts: ``+``, ``~``, ``?``, ``...``."""

    text: str
    span: Span


@dataclass(frozen=True)
class Axes:
    """``[m, _, 64]``, ``[..., d]``: a shape."""

    axes: tuple[Name | Number | Sign, ...]
    span: Span


@dataclass(frozen=True)
class Counted:
    """``rank 3``."""

    name: Name
    number: Number
    span: Span


Kind = Name | Counted | Axes


@dataclass(frozen=True)
class Capture:
    """``x``, ``x?``, ``xs...``, each with kinds behind a colon or without."""

    name: Name
    mark: Sign | None
    kinds: tuple[Kind, ...]
    span: Span


@dataclass(frozen=True)
class Attribute:
    """``name = value`` of an operation that is looked for."""

    name: Name
    value: Value
    span: Span


@dataclass(frozen=True)
class Operation:
    """``Op(pattern, ...){name = value, ...}``; ``op`` is a pattern where it stands in parentheses: alternatives."""

    op: "Name | Pattern"
    inputs: "tuple[Pattern, ...]"
    attributes: tuple[Attribute, ...]
    span: Span


@dataclass(frozen=True)
class Labelled:
    """``name: Op(...)``."""

    name: Name
    part: "Pattern"
    span: Span


@dataclass(frozen=True)
class Alternatives:
    """``a | b``."""

    parts: "tuple[Pattern, ...]"
    span: Span


Pattern = Number | Sequence | Name | Capture | Labelled | Operation | Alternatives
"""A name alone is one with dots in it: an operator that reads nothing, or one of alternatives."""


@dataclass(frozen=True)
class Items:
    """``[a, b]`` of formulas."""

    items: "tuple[Formula, ...]"
    span: Span


@dataclass(frozen=True)
class Infix:
    """``a + b - c``: parts, and the signs between them, of one precedence."""

    parts: "tuple[Formula, ...]"
    signs: tuple[Sign, ...]
    span: Span


@dataclass(frozen=True)
class Junction:
    """``a and b and c``, or ``or``."""

    sign: str
    parts: "tuple[Formula, ...]"
    span: Span


@dataclass(frozen=True)
class Negative:
    """``-a``."""

    part: "Formula"
    span: Span


@dataclass(frozen=True)
class Negated:
    """``not a``."""

    part: "Formula"
    span: Span


@dataclass(frozen=True)
class Others:
    """``xs...`` among what an operator reads."""

    name: Name
    span: Span


@dataclass(frozen=True)
class Setting:
    """``name = formula`` of an operation that is made."""

    name: Name
    value: "Formula"
    span: Span


@dataclass(frozen=True)
class Invocation:
    """``f(a, b){name = c}``: a function, or an operation that is made."""

    name: Name
    arguments: "tuple[Formula, ...]"
    settings: tuple[Setting, ...]
    span: Span


Formula = Number | String | Regex | Name | Items | Infix | Junction | Negative | Negated | Others | Invocation
"""A regular expression stands on the right of ``~`` alone, ``xs...`` among inputs."""


@dataclass(frozen=True)
class Equation:
    """``match a, b = PATTERN``, or ``before``."""

    names: tuple[Name, ...]
    pattern: Pattern
    span: Span


@dataclass(frozen=True)
class Match(Equation):
    """Of what a rule looks for."""


@dataclass(frozen=True)
class Before(Equation):
    """Of what an example is made of."""


@dataclass(frozen=True)
class Where:
    """``where CONDITION``."""

    condition: Formula
    span: Span


@dataclass(frozen=True)
class Assignment:
    """``let a, b = FORMULA``, ``replace`` or ``after``."""

    names: tuple[Name, ...]
    formula: Formula
    span: Span


@dataclass(frozen=True)
class Given(Assignment):
    """Named for what comes after it."""


@dataclass(frozen=True)
class Replace(Assignment):
    """Put in the place of what was found."""


@dataclass(frozen=True)
class After(Assignment):
    """Of what becomes of an example."""


@dataclass(frozen=True)
class Within:
    """``within SHARE``."""

    share: Number | Name
    span: Span


@dataclass(frozen=True)
class Example:
    """``example { ... }``; the span is that of its first line, ``lost`` as of a rule."""

    statements: tuple[Before | After, ...]
    lost: frozenset[str]
    span: Span


Part = Match | Where | Given | Replace | Within | Example


@dataclass(frozen=True)
class Rule:
    """``rule name { ... }``; the span is that of its first line.

    ``lost`` holds the words of statements in it that could not be read.
    """

    name: Name
    statements: tuple[Part, ...]
    lost: frozenset[str]
    span: Span
