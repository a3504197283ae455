"""Why one layer is in a set or not: the first condition that it does not meet, and what it has instead."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from qtnc.ir.dtypes import dtype_word
from qtnc.source import Span
from qtnc.spec import program
from qtnc.spec.facts import LACKING, LayerFacts, axes
from qtnc.spec.members import Members, holds
from qtnc.spec.rank import Ranking
from qtnc.spec.wording import clip


@dataclass(frozen=True)
class Failure:
    """A condition that a layer does not meet, where it stands, and what is true of the layer instead."""

    condition: Span
    found: str

    def __str__(self) -> str:
        """``name ~ "*.mlp.*"``: its name is ...; a condition of several lines is shown by its first."""
        return f"`{clip(self.condition.text, 60)}`: {self.found}"


@dataclass(frozen=True)
class Doubter:
    """Answers for the selectors of one spec; all of them are settled in ``members``."""

    selects: Mapping[str, program.Select]
    layers: Sequence[LayerFacts]
    members: Members
    ranking: Ranking

    def failure(self, predicate: program.Predicate, layer: LayerFacts) -> Failure | None:
        """The first condition, in the order of the text, that keeps a layer out; None where it is in."""
        if holds(predicate, layer, self.members):
            return None
        match predicate:
            case program.AllOf(parts):
                return next(failure for part in parts if (failure := self.failure(part, layer)))
            case program.OneOf(parts):
                failures = [failure for part in parts if (failure := self.failure(part, layer))]
                return Failure(predicate.span, "; ".join(map(str, failures)))
            case program.InSelector(selector):
                inside = self.failure(self.selects[selector].predicate, layer)
                return Failure(predicate.span, f"it is not in `{selector}`, for {inside}")
            case program.Top():
                return self.failure(predicate.base, layer) or Failure(predicate.span, self._rank(predicate, layer))
            case program.Reach(direction, base):
                if holds(base, layer, self.members):
                    return Failure(predicate.span, f"it is in `{clip(base.span.text)}` itself")
                path = "no path leads from it to that" if direction == "upstream" else "no path leads to it from that"
                return Failure(predicate.span, path)
            case program.NoneOf(part):
                return Failure(predicate.span, f"it is in `{clip(part.span.text)}`")
            case _:
                return Failure(predicate.span, self._has(predicate, layer))

    def _rank(self, top: program.Top, layer: LayerFacts) -> str:
        names = self.members.settled[top.span]
        value = self.ranking.value(layer, top.key, top.structure)
        chosen = [self.ranking.value(x, top.key, top.structure) for x in self.layers if x.name in names]
        least, word = (max(chosen), "at most") if top.least else (min(chosen), "at least")
        return f"its {top.key} is {value:.6g}, those chosen have {word} {least:.6g}"

    def _has(self, fact: program.AnyLayer | program.OpIs | program.Fact, layer: LayerFacts) -> str:
        match fact:
            case program.OpIs():
                return f"it is a `{layer.op}`"
            case program.NameIs():
                return f"its name is `{layer.name}`"
            case program.DepthIs():
                return f"its depth is {float(self.members.depth(layer)):.1%}"
            case program.ShapeIs():
                return f"it is stored as {axes(layer.shape)}"
            case program.DtypeIs():
                return f"it is {dtype_word(layer.dtype)}"
            case program.NumberIs() | program.NumberIn() | program.DivisibleBy():
                number = self.members.number(fact.field, layer)
                return f"it has {number:,}" if number is not None else LACKING[fact.field].replace("none", "it", 1)
            case program.AnyLayer():
                return "every layer is in it"
            case _:
                assert_never(fact)
