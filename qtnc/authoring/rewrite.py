"""A pass that is one rule: what it looks for, as text, and what it puts there, in Python."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import onnx_ir as ir

from qtnc.errors import InternalError
from qtnc.pipeline import PassResult
from qtnc.rules.building import Builder
from qtnc.rules.driving import apply_rules
from qtnc.rules.found import Match
from qtnc.rules.matching import Matcher
from qtnc.rules.pattern import ANY
from qtnc.rules.rule import Rule
from qtnc.rules.trace import Listener
from qtnc.source import Span
from qtnc.spec.rules.looked_for import read_equations


@dataclass(frozen=True)
class Rewrite(ABC):
    """A pass of one rule; a subclass says what it looks for, and replaces it.

    Attributes
    ----------
    name : what pipelines call the pass.
    match : what it looks for, an equation a line, as `match` of a `rule` has them; the last is the root.
    shared : names of inner results that it takes even where something else reads them too.
    within : largest relative error that it may make; None where it is exact but for rounding.
    """

    name: ClassVar[str]
    match: ClassVar[str]
    shared: ClassVar[frozenset[str]] = frozenset()
    within: ClassVar[float | None] = None
    exact: ClassVar[bool] = True

    listen: Listener | None = field(default=None, repr=False, compare=False, kw_only=True)

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        cls.exact = cls.within is None

    @abstractmethod
    def replace(self, found: Match, build: Builder) -> ir.Value | Mapping[str, ir.Value]:
        """What takes the place of the root's result, or of results by their names.

        ``found`` has what was matched by its names; ``build`` makes nodes and constants; :func:`decline` leaves the
        graph as it is.
        """

    def run(self, model: ir.Model) -> PassResult:
        """Apply it until it applies nowhere any more."""
        (applied,) = apply_rules(model, [_Rule(self)], self.listen)
        return PassResult(model, applied.times > 0, (applied,))


def rule_of(rewrite: Rewrite) -> Rule:
    """The rule that a pass is, for whoever asks what it would do at one node."""
    return _Rule(rewrite)


@dataclass(frozen=True)
class _Rule:
    """The rule that a pass is."""

    of: Rewrite

    @property
    def name(self) -> str:
        return self.of.name

    @cached_property
    def matcher(self) -> Matcher:
        return Matcher(read_equations(f"{type(self.of).__qualname__}.match", self.of.match))

    @property
    def shared(self) -> frozenset[str]:
        return frozenset(self.of.shared)

    @property
    def within(self) -> float | None:
        return self.of.within

    @property
    def span(self) -> Span | None:
        return None

    def replace(self, found: Match, build: Builder) -> Mapping[str, ir.Value]:
        made = self.of.replace(found, build)
        if isinstance(made, Mapping):
            return made
        if not isinstance(made, ir.Value):
            raise InternalError(f"`replace` of {self.name} returns a {type(made).__name__}, and no value of the graph")
        return {next(name for name in self.matcher.equations[-1].outputs if name != ANY): made}
