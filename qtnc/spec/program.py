"""What a spec means: names resolved, values read, structures built. The result of checking, and what plan reads."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from qtnc.source import Source, Span
from qtnc.spec.pattern import Pattern

Goal = Literal["memory", "balanced", "latency"]
Sign = Literal["<", "<=", ">", ">=", "==", "!="]


@dataclass(frozen=True)
class DataDecl:
    """A data set: the file, and how many rows of it (all if None)."""

    name: str
    path: Path
    take: int | None
    span: Span


@dataclass(frozen=True)
class AnyLayer:
    """True of every layer."""

    span: Span


@dataclass(frozen=True)
class OpIs:
    """True of layers of one op type."""

    op: str
    span: Span


@dataclass(frozen=True)
class InSelector:
    """True of the layers of an earlier selector."""

    selector: str
    span: Span


@dataclass(frozen=True)
class NameIs:
    """True of layers whose name matches."""

    pattern: Pattern
    span: Span


@dataclass(frozen=True)
class ElementsAre:
    """True of layers whose weight has that many elements."""

    comparator: Sign
    value: int
    span: Span


@dataclass(frozen=True)
class AllOf:
    """True where every part is: ``and``, and ``where``."""

    parts: "tuple[Predicate, ...]"
    span: Span


@dataclass(frozen=True)
class OneOf:
    """True where some part is: ``or``."""

    parts: "tuple[Predicate, ...]"
    span: Span


@dataclass(frozen=True)
class NoneOf:
    """True where the part is not: ``not``."""

    part: "Predicate"
    span: Span


Predicate = AnyLayer | OpIs | InSelector | NameIs | ElementsAre | AllOf | OneOf | NoneOf
"""Sets and conditions alike are predicates on a layer: that is all a selection asks."""


@dataclass(frozen=True)
class Select:
    """A named set of layers: those of which ``predicate`` is true."""

    name: str
    predicate: Predicate
    span: Span


@dataclass(frozen=True)
class Rewrite:
    """Layers to replace, by what, and the data that the fit is weighted by (none: a plain fit)."""

    selector: str
    structure: Any
    data: str | None
    span: Span


@dataclass(frozen=True)
class Emit:
    """A backend to write."""

    backend: str
    span: Span


@dataclass(frozen=True)
class Verify:
    """Largest relative error of the outputs, on a data set or on seeded inputs."""

    tolerance: float
    data: str | None
    span: Span


@dataclass(frozen=True)
class Spec:
    """A spec without mistakes. Mappings are in order of the text."""

    source: Source
    binds: Mapping[str, int]
    bind_spans: Mapping[str, Span]
    data: Mapping[str, DataDecl]
    optimize: Goal
    selects: Mapping[str, Select]
    rewrites: tuple[Rewrite, ...]
    emits: tuple[Emit, ...]
    verifies: tuple[Verify, ...]


def walk(predicate: Predicate) -> Iterator[Predicate]:
    """The predicate and all its parts, outermost first."""
    yield predicate
    if isinstance(predicate, AllOf | OneOf):
        for part in predicate.parts:
            yield from walk(part)
    elif isinstance(predicate, NoneOf):
        yield from walk(predicate.part)
