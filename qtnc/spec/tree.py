"""What a spec says, as written: one class per construct, a span on each, no meaning yet."""

from dataclasses import dataclass
from pathlib import Path

from qtnc.source import Source, Span
from qtnc.spec.atoms import Name as Name
from qtnc.spec.atoms import Number as Number
from qtnc.spec.atoms import Regex as Regex
from qtnc.spec.atoms import Sequence as Sequence
from qtnc.spec.atoms import String as String
from qtnc.spec.atoms import Value as Value
from qtnc.spec.rules.tree import Rule


@dataclass(frozen=True)
class Argument:
    """``name: value``, or a value alone."""

    name: Name | None
    value: Value
    span: Span


@dataclass(frozen=True)
class Call:
    """``name(argument, ...)``: a structure, or a reader of data."""

    name: Name
    arguments: tuple[Argument, ...]
    span: Span


@dataclass(frozen=True)
class Layers:
    """A name for layers: a selector, or an op type."""

    name: Name
    span: Span


@dataclass(frozen=True)
class Everything:
    """``*``: every layer."""

    span: Span


@dataclass(frozen=True)
class Comparator:
    """``~`` or one of ``< <= > >= == !=``."""

    text: str
    span: Span


@dataclass(frozen=True)
class Comparison:
    """``field COMPARATOR value``."""

    field: Name
    comparator: Comparator
    value: String | Regex | Number | Name
    span: Span


@dataclass(frozen=True)
class Membership:
    """``field in [value, ...]``."""

    field: Name
    values: Sequence | Name
    span: Span


@dataclass(frozen=True)
class Divisible:
    """``field divisible by divisor``."""

    field: Name
    divisor: Number | Name
    span: Span


@dataclass(frozen=True)
class Either:
    """``a or b``, of sets or of conditions."""

    parts: "tuple[Expression, ...]"
    span: Span


@dataclass(frozen=True)
class Both:
    """``a and b``, of sets or of conditions."""

    parts: "tuple[Expression, ...]"
    span: Span


@dataclass(frozen=True)
class Complement:
    """``not a``, of a set or of a condition, and the ``- a`` of a set."""

    part: "Expression"
    span: Span


@dataclass(frozen=True)
class Filtered:
    """``set where condition``."""

    base: "Expression"
    condition: "Expression"
    span: Span


@dataclass(frozen=True)
class Top:
    """``top count of set by key``, or ``bottom``; some keys are ``of structure | ...``."""

    word: Name
    count: Number | Name
    base: "Expression"
    key: Name
    chain: tuple[Call, ...] | None
    span: Span


@dataclass(frozen=True)
class Reach:
    """``upstream of set``, or ``downstream``."""

    word: Name
    base: "Expression"
    span: Span


Fact = Comparison | Membership | Divisible
Expression = Layers | Everything | Fact | Either | Both | Complement | Filtered | Top | Reach


@dataclass(frozen=True)
class Header:
    """``qtn VERSION``."""

    version: Number
    span: Span


@dataclass(frozen=True)
class Recipe:
    """``<name>``: a spec that ships, by its name without the brackets."""

    name: str
    span: Span


@dataclass(frozen=True)
class Include:
    """``include "path"`` or ``include <recipe>``."""

    file: String | Recipe
    span: Span


@dataclass(frozen=True)
class Use:
    """``use "path"``, or ``use pass(option: value, ...)``."""

    what: String | Call
    span: Span


@dataclass(frozen=True)
class Let:
    """``let name = value``."""

    name: Name
    value: Value
    span: Span


@dataclass(frozen=True)
class Binding:
    """``name = value`` of a ``bind`` statement."""

    name: Name
    value: Number | Name
    span: Span


@dataclass(frozen=True)
class Bind:
    """``bind name = value, ...``."""

    bindings: tuple[Binding, ...]
    span: Span


@dataclass(frozen=True)
class Data:
    """``data name = reader("path") take rows``."""

    name: Name
    reader: Call
    take: Number | Name | None
    span: Span


@dataclass(frozen=True)
class Optimize:
    """``optimize goal``."""

    goal: Name
    span: Span


@dataclass(frozen=True)
class Select:
    """``select name = selection``."""

    name: Name
    selection: Expression
    span: Span


@dataclass(frozen=True)
class Rewrite:
    """``rewrite selector -> structure | ... on data``."""

    selector: Name
    chain: tuple[Call, ...]
    data: Name | None
    span: Span


@dataclass(frozen=True)
class Ignore:
    """``ignore selector``."""

    selector: Name
    span: Span


@dataclass(frozen=True)
class Stage:
    """``stage name extends base { ... }``; the span is that of its first line."""

    name: Name
    base: Name | None
    statements: "tuple[Statement, ...]"
    span: Span


@dataclass(frozen=True)
class Emit:
    """``emit backend(option: value, ...) for selector``."""

    backend: Call
    selector: Name | None
    span: Span


@dataclass(frozen=True)
class Verify:
    """``verify outputs within tolerance on data``."""

    tolerance: Number | Name
    data: Name | None
    span: Span


Statement = (
    Header | Include | Use | Let | Bind | Data | Optimize | Select | Rewrite | Ignore | Stage | Rule | Emit | Verify
)


@dataclass(frozen=True)
class Included:
    """A source that an ``include`` stands for.

    ``name`` is its path from the folder of the spec, or that of a recipe in its brackets; recipes have no ``path``.
    """

    name: str
    source: Source
    path: Path | None


@dataclass(frozen=True)
class SpecTree:
    """The statements of a source that could be read, and what it includes in the order of the text.

    ``lost`` holds the words of statements that could not: a name among them may have been declared there, so its
    absence is no second error.
    """

    source: Source
    statements: tuple[Statement, ...]
    lost: frozenset[str] = frozenset()
    includes: tuple[Included, ...] = ()
