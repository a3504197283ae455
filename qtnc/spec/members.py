"""Whether a predicate is true of a layer, given what is settled of all."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from qtnc.source import Span
from qtnc.spec import program
from qtnc.spec.comparisons import DEPTH
from qtnc.spec.facts import DTYPES, NUMBERS, LayerFacts


@dataclass(frozen=True)
class Members:
    """What no layer tells by itself.

    Attributes
    ----------
    places : place of every layer in the model, from 0.
    selectors : names of the layers of each, as far as they are settled.
    settled : names of the layers of every ``top`` and ``upstream``, by its place in the spec.
    """

    places: Mapping[str, int]
    selectors: dict[str, frozenset[str]] = field(default_factory=dict)
    settled: dict[Span, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, layers: Sequence[LayerFacts]) -> "Members":
        """Of the layers of a model, nothing being settled yet."""
        return cls({layer.name: place for place, layer in enumerate(layers)})

    def depth(self, layer: LayerFacts) -> Fraction:
        """Share of all layers that come before this one."""
        return Fraction(self.places[layer.name], len(self.places))

    def number(self, field: str, layer: LayerFacts) -> int | None:
        """The number in a field of a layer; None where it has none."""
        return self.places[layer.name] if field == DEPTH else NUMBERS[field](layer)


COMPARE: dict[program.Sign, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def holds(predicate: program.Predicate, layer: LayerFacts, members: Members) -> bool:
    """Whether ``predicate`` is true of ``layer``; ``members`` has the selectors above and what is settled in it."""
    match predicate:
        case program.AnyLayer():
            return True
        case program.OpIs(op):
            return layer.op == op
        case program.InSelector(selector):
            return layer.name in members.selectors[selector]
        case program.AllOf(parts):
            return all(holds(part, layer, members) for part in parts)
        case program.OneOf(parts):
            return any(holds(part, layer, members) for part in parts)
        case program.NoneOf(part):
            return not holds(part, layer, members)
        case program.Top(span=span) | program.Reach(span=span):
            return layer.name in members.settled[span]
        case _:
            return _is_fact(predicate, layer, members)


def _is_fact(fact: program.Fact, layer: LayerFacts, members: Members) -> bool:
    match fact:
        case program.NameIs(pattern):
            return pattern.matches(layer.name)
        case program.DepthIs(comparator, share):
            return COMPARE[comparator](members.depth(layer), share)
        case program.ShapeIs(comparator, sides):
            return fits(layer.shape, sides) == (comparator == "==")
        case program.DtypeIs(comparator, dtype):
            return (layer.dtype == DTYPES[dtype]) == (comparator == "==")
    number = members.number(fact.field, layer)
    if number is None:
        return False
    match fact:
        case program.NumberIs(_, comparator, value):
            return COMPARE[comparator](number, value)
        case program.NumberIn(_, values):
            return number in values
        case program.DivisibleBy(_, divisor):
            return number % divisor == 0


def fits(shape: tuple[int, ...], sides: tuple[int | None, ...]) -> bool:
    """Whether a shape has these sides, None being any."""
    return len(shape) == len(sides) and all(side in (None, size) for size, side in zip(shape, sides, strict=True))
