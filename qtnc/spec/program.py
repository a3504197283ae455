"""What a spec means: names resolved, values read, structures built. The result of checking, and what plan reads."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, TypeVar

from qtnc.errors import Diagnostic, UsageError, did_you_mean
from qtnc.plugins.offer import Offer
from qtnc.rules.rule import SpecRule
from qtnc.source import Source, Span
from qtnc.spec import tree
from qtnc.spec.pattern import Pattern
from qtnc.spec.values import listing
from qtnc.spec.wording import clip

Goal = Literal["memory", "balanced", "latency"]
Sign = Literal["<", "<=", ">", ">=", "==", "!="]
Direction = Literal["upstream", "downstream"]
Options = TypeVar("Options")


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
class NumberIs:
    """True of layers of which a number compares so; a layer without the number is none of them."""

    field: str
    comparator: Sign
    value: int
    span: Span


@dataclass(frozen=True)
class NumberIn:
    """True of layers of which a number is one of some."""

    field: str
    values: tuple[int, ...]
    span: Span


@dataclass(frozen=True)
class DivisibleBy:
    """True of layers of which a number is a multiple of another."""

    field: str
    divisor: int
    span: Span


@dataclass(frozen=True)
class DepthIs:
    """True of layers whose place in the model, as a share of all, compares so."""

    comparator: Sign
    share: Fraction
    span: Span


@dataclass(frozen=True)
class ShapeIs:
    """True of layers whose weight has these sides as stored, or with ``!=`` others; None is any side."""

    comparator: Literal["==", "!="]
    sides: tuple[int | None, ...]
    span: Span


@dataclass(frozen=True)
class DtypeIs:
    """True of layers whose weight is of this element type, or with ``!=`` of another."""

    comparator: Literal["==", "!="]
    dtype: str
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


@dataclass(frozen=True)
class Top:
    """True of the ``count`` layers of ``base`` that have most of ``key``, or with ``least`` the least.

    ``structure`` is what the key is asked at, where it is asked at any.
    """

    count: int
    base: "Predicate"
    key: str
    span: Span
    least: bool = False
    structure: Any = None


@dataclass(frozen=True)
class Reach:
    """True of the layers outside ``base`` from which a path in the graph leads to it, or to which one leads from it."""

    direction: Direction
    base: "Predicate"
    span: Span


Fact = NameIs | NumberIs | NumberIn | DivisibleBy | DepthIs | ShapeIs | DtypeIs
"""What is true of a layer on its own."""

Predicate = AnyLayer | OpIs | InSelector | Fact | AllOf | OneOf | NoneOf | Top | Reach
"""Sets and conditions alike are predicates on a layer: that is all a selection asks."""


@dataclass(frozen=True)
class Select:
    """A named set of layers: those of which ``predicate`` is true.

    One that is ``shipped`` is of a recipe, and may be empty where no other statement names it.
    """

    name: str
    predicate: Predicate
    span: Span
    shipped: bool = False


@dataclass(frozen=True)
class Rewrite:
    """Layers to replace, by what, and the data that the fit is weighted by (none: a plain fit)."""

    selector: str
    structure: Any
    data: str | None
    span: Span


@dataclass(frozen=True)
class Use:
    """A Python file, or a pass of another package, that is used.

    Attributes
    ----------
    name : the file's path from the folder of the spec, or the name of the pass.
    passes : in order, each with its options.
    path, sha256 : of a file; None for a pass of a package.
    left : whether the file was not run, so that what it offers is not known.
    """

    name: str
    passes: tuple[tuple[Offer, Mapping[str, Any]], ...]
    span: Span
    path: Path | None = None
    sha256: str | None = None
    left: bool = False


@dataclass(frozen=True)
class Ignore:
    """Layers that no rewrite claims, wherever it stands."""

    selector: str
    span: Span


@dataclass(frozen=True)
class Stage:
    """Rewrites that go together, on top of those of ``base``."""

    name: str
    base: str | None
    rewrites: tuple[Rewrite, ...]
    span: Span


@dataclass(frozen=True)
class Emit:
    """A backend to write, its options, and the layers that it is to be about (none: the model).

    ``places`` are those of the options that were written.
    """

    backend: str
    options: Any
    selector: str | None
    span: Span
    places: Mapping[str, Span] = field(default_factory=dict)


@dataclass(frozen=True)
class Verify:
    """Largest relative error of the outputs, on a data set or on seeded inputs."""

    tolerance: float
    data: str | None
    span: Span


@dataclass(frozen=True)
class Spec:
    """A spec without mistakes. Mappings are in order of the text.

    ``includes`` are the sources that it was read from beside its own, and ``lets`` the values that it names.
    ``rewrites`` are those in effect at ``stage``: as read, at none, those outside of stages; see :meth:`at`.
    ``uses`` are the files and passes of others that it uses.
    ``settings`` are what the command line settled instead of the text, as :func:`qtnc.spec.settings.override` put it in
    effect. ``rules`` are those of the text and of what it includes, in order, at every stage.
    """

    source: Source
    binds: Mapping[str, int]
    bind_spans: Mapping[str, Span]
    data: Mapping[str, DataDecl]
    optimize: Goal
    selects: Mapping[str, Select]
    rewrites: tuple[Rewrite, ...]
    stages: Mapping[str, Stage]
    emits: tuple[Emit, ...]
    verifies: tuple[Verify, ...]
    ignores: tuple[Ignore, ...] = ()
    stage: str | None = None
    includes: tuple[tree.Included, ...] = ()
    lets: Mapping[str, tree.Let] = field(default_factory=dict)
    settings: Mapping[str, int | str] = field(default_factory=dict)
    uses: tuple[Use, ...] = ()
    rules: tuple[SpecRule, ...] = ()

    def at(self, stage: str | None) -> "Spec":
        """Put the rewrites of a stage in effect, after those outside of stages and those of its bases, least first.

        Parameters
        ----------
        stage
            Its name; None is the last stage in the text, or none where there is none.

        Raises
        ------
        UsageError
            The spec has no such stage.
        """
        if stage is None and self.stages:
            stage = [*self.stages][-1]
        if stage is not None and stage not in self.stages:
            known = f"stages are {listing(self.stages)}" if self.stages else "the spec has no stages"
            way_out = " ".join(filter(None, (did_you_mean(stage, self.stages), known)))
            raise UsageError(Diagnostic(f"unknown stage `{clip(stage)}`", None, way_out, self.source.name))
        outside = self.rewrites[: len(self.rewrites) - len(self._of(self.stage))]
        return replace(self, stage=stage, rewrites=outside + self._of(stage))

    def told(self, kind: type[Options]) -> Options:
        """Options of the backend that has options of this kind, or what is meant where nothing is said."""
        return next((emit.options for emit in self.emits if isinstance(emit.options, kind)), kind())

    def emit(self, backend: str) -> Emit | None:
        """The statement that asks for a backend."""
        return next((emit for emit in self.emits if emit.backend == backend), None)

    def _of(self, stage: str | None) -> tuple[Rewrite, ...]:
        """Rewrites of a stage, those of its bases first."""
        rewrites: tuple[Rewrite, ...] = ()
        while stage is not None:
            rewrites = self.stages[stage].rewrites + rewrites
            stage = self.stages[stage].base
        return rewrites


def walk(predicate: Predicate) -> Iterator[Predicate]:
    """The predicate and all its parts, outermost first."""
    yield predicate
    if isinstance(predicate, AllOf | OneOf):
        for part in predicate.parts:
            yield from walk(part)
    elif isinstance(predicate, NoneOf):
        yield from walk(predicate.part)
    elif isinstance(predicate, Top | Reach):
        yield from walk(predicate.base)
