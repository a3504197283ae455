"""What names stand for in one rule: values, sizes, attributes, and what is let."""

from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Literal, TypeGuard

from qtnc.errors import did_you_mean
from qtnc.rules.functions import FUNCTIONS, Sort
from qtnc.rules.pattern import Kind
from qtnc.source import Span
from qtnc.spec import atoms, tree
from qtnc.spec.lets import Lets
from qtnc.spec.rules.kinds import ELEMENTS, GROUPS
from qtnc.spec.rules.operators import Operator, is_operator
from qtnc.spec.values import LARGEST, RefusedError, quantity
from qtnc.spec.wording import clip

Role = Literal["result", "operation", "capture", "others", "size", "attribute", "made"]

ROLES: Final[dict[Role, str]] = {
    "result": "a result",
    "operation": "an operation",
    "capture": "a value",
    "others": "several values",
    "size": "a size",
    "attribute": "an attribute",
    "made": "let",
}
"""What a name of each role is, in words."""

MATCHED: Final = ("result", "operation", "capture")
"""Roles of values that are in the graph before the rule does anything."""


_ANY_KIND: Final = Kind()


@dataclass(frozen=True)
class Known:
    """What a name stands for.

    Attributes
    ----------
    sort : as terms have it; None where only the model tells.
    kind : of a value that is looked for, all that is said of it.
    operators : of an operation, those that it may be.
    """

    role: Role
    sort: Sort | None
    span: Span
    kind: Kind = _ANY_KIND
    operators: tuple[Operator, ...] = ()


@dataclass
class Names:
    """Names of one rule, or of one of its examples.

    Attributes
    ----------
    lets : values of the spec; a rule sees those of its own file, and of what that includes.
    lost : words of statements that could not be read.
    place : where the rule is.
    way_out : where names come from.
    """

    lets: Lets
    lost: Collection[str]
    place: Span
    way_out: str = "names are those of a `match` or a `let` above"
    known: dict[str, Known] = field(default_factory=dict)

    def let(self, name: str) -> tree.Let | None:
        """The statement that lets a name, where the rule sees it: what includes the rule may let what it likes."""
        let = self.lets.above.get(name)
        around = {outer.source for outer in self.place.chain}
        return None if let is None or let.span.source in around else let

    def declare(self, name: atoms.Name, known: Known) -> None:
        """Let a name stand for something.

        Raises
        ------
        RefusedError
            If it is taken.
        """
        self.free(name)
        before = self.known.setdefault(name.text, known)
        if before is not known:
            place = before.span.seen_from(name.span)
            raise RefusedError(f"`{clip(name.text)}` is {ROLES[before.role]} already, at {place}", name.span, _OTHER)

    def free(self, name: atoms.Name) -> None:
        """Refuse names that stand for something everywhere."""
        text, let = name.text, self.let(name.text)
        if let is not None:
            raise RefusedError(f"`{clip(text)}` is let at {let.span.seen_from(name.span)}", name.span, _OTHER)
        if text in ELEMENTS:
            raise RefusedError(f"`{text}` is an element type", name.span, _OTHER)
        if is_operator(text):
            raise RefusedError(f"`{text}` is an operator", name.span, f"write `{text}(...)`, or {_OTHER}")

    def unknown(self, name: atoms.Name) -> RefusedError:
        """Say that a name stands for nothing."""
        text = name.text
        if text in FUNCTIONS:
            way_out = f"`{text}` is a function: write `{text}(...)`"
        elif is_operator(text):
            way_out = f"`{text}` is an operator: write `{text}(...)`"
        elif text in GROUPS:
            way_out = f"say which, such as `{GROUPS[text][-1]}`"
        elif text in self.lets.above:
            way_out = "it is let in a file that includes this one; a rule sees what its own file lets or includes"
        elif text in self.lets.places:
            way_out = "it is let only below: move that above the rule"
        else:
            seen = [let for let in self.lets.above if self.let(let)]
            way_out = did_you_mean(text, islice((*self.known, *seen), _COMPARED)) or self.way_out
        return RefusedError(f"unknown name `{clip(text)}`", name.span, way_out)

    def sees(self, value: object) -> TypeGuard[atoms.Name]:
        """Whether a value is a name that the spec lets."""
        return isinstance(value, atoms.Name) and value.text not in self.known and self.let(value.text) is not None


_COMPARED: Final = 1000
"""Names that an unknown one is compared with."""

_OTHER: Final = "name it otherwise"

FLOAT_MAX: Final = 1.7976931348623157e308


def number_of(node: atoms.Number) -> float | int:
    """A number as meant: whole where it is written so; a percentage is a share of one.

    Raises
    ------
    RefusedError
        If it is none, or too large for 64 bits.
    """
    whole = not set(node.text) & set(".eE%")
    read = quantity(node, LARGEST if whole else FLOAT_MAX)
    if whole:
        return int(read.value)
    return float(read.value / 100 if read.percent else read.value)
