"""What a rule looks for: operations, what they read, and the names under which it is known afterwards.

A pattern is data, as its text is in a spec: the matcher, the builder of examples and the printers all read the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from qtnc.source import Span

ANY: Final = "_"
"""The name that names nothing, for a value and for a size."""

Axis = int | str | None
"""A size: this one, the one that goes by a name, or any."""


@dataclass(frozen=True)
class Axes:
    """Sizes of a shape; ``rest`` is the place of ``...``, any number of axes, if it has one."""

    sizes: tuple[Axis, ...]
    rest: int | None = None


@dataclass(frozen=True)
class Kind:
    """What a captured value must be, as far as it is said.

    Attributes
    ----------
    const : its numbers are known at compile time.
    dtypes : names of element types as ONNX has them in lower case (``float`` of a spec is several), any of them.
    rank : how many axes.
    size : how many elements; 1 of a scalar, whose rank is left open.
    axes : its shape.
    """

    const: bool = False
    dtypes: frozenset[str] | None = None
    rank: int | None = None
    size: int | None = None
    axes: Axes | None = None


@dataclass(frozen=True)
class Capture:
    """Any value of a kind, known by a name from then on; the same name again is the same value.

    ``optional`` is an input that may be missing, ``rest`` all inputs that are left, which may be none.
    """

    name: str
    kind: Kind = Kind()
    optional: bool = False
    rest: bool = False
    span: Span | None = None


@dataclass(frozen=True)
class Literal:
    """A constant that is this number, or holds these, after rounding to its element type or within 1e-6.

    A number is any constant that holds it everywhere, of whatever shape; a tuple is a constant of one axis.
    """

    value: float | int | tuple[float | int, ...]
    span: Span | None = None


@dataclass(frozen=True)
class Attribute:
    """An attribute of an operation: ``name = value``, or ``name = word`` that binds or compares.

    An attribute that a node leaves out has the default of its operator. ``bound`` is a name for its value, else
    ``value`` is what it must be; numbers compare as numbers.
    """

    name: str
    value: float | int | str | tuple[float | int | str, ...] | None = None
    bound: str | None = None
    span: Span | None = None


@dataclass(frozen=True)
class Operation:
    """A node: its operator, what it reads, its attributes.

    Attributes
    ----------
    ops : operators, any of them: ``Mul``, ``com.microsoft.Gelu``, ``qtn.Mpo``, or classes such as ``elementwise``
        (:data:`qtnc.rules.operators.CLASSES`).
    inputs : in order; where the operator is commutative, in either. A node may have more inputs than the pattern only
        where they are missing ones.
    name : how the node and its first result are known, beside the names of its equation.
    """

    ops: tuple[str, ...]
    inputs: "tuple[Pattern, ...]"
    attributes: tuple[Attribute, ...] = ()
    name: str | None = None
    span: Span | None = None


@dataclass(frozen=True)
class Either:
    """The first of some patterns that matches. All of them bind the same names."""

    parts: "tuple[Pattern, ...]"
    span: Span | None = None


Pattern = Capture | Literal | Operation | Either


@dataclass(frozen=True)
class Equation:
    """``y = Mul(x, s)``, ``a, b = Split(x, sizes)``: an operation and names of its results, ``_`` for none.

    Of the equations of a rule the last is the root, where matching begins. A name that an equation defines stands for
    that equation wherever another reads it. An equation that the root does not lead to is looked for among the nodes
    that read what is bound by then.
    """

    outputs: tuple[str, ...]
    operation: Operation
    span: Span | None = None


def parts_of(pattern: Pattern) -> Iterator[Pattern]:
    """The pattern and all within it, outermost first, in order of the text."""
    yield pattern
    inner = pattern.inputs if isinstance(pattern, Operation) else pattern.parts if isinstance(pattern, Either) else ()
    for part in inner:
        yield from parts_of(part)
