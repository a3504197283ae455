"""Values by name: `let` statements, and the values that stand in the place of their names."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

from qtnc.errors import Diagnostic, did_you_mean
from qtnc.source import Span
from qtnc.spec import tree
from qtnc.spec.kinds import kind_of
from qtnc.spec.syntax import MAX_LENGTH
from qtnc.spec.values import RefusedError
from qtnc.spec.wording import clip

VALUES: dict[type[Any], str] = {
    tree.Argument: "value",
    tree.Binding: "value",
    tree.Comparison: "value",
    tree.Data: "take",
    tree.Divisible: "divisor",
    tree.Let: "value",
    tree.Membership: "values",
    tree.Sequence: "items",
    tree.Top: "count",
    tree.Verify: "tolerance",
}
"""Where the language has a value, by the node and its part: there a name that is let stands for its value."""

SETTING = "--set"
"""The source of values that the command line gives."""


@dataclass
class Lets:
    """What names stand for, statement by statement.

    Attributes
    ----------
    places : where each is let, in the whole spec.
    given : values that the command line settles otherwise.
    lost : names that bad statements may have let.
    faulty : names whose values are of no kind, of which it was said where they are let.
    above : those that stand above.
    used : every name in the place of a value, and the statement that lets it; None where none above does.
    left : characters that names may still stand for: what a short text makes of itself is bounded as texts are.
    """

    places: Mapping[str, Span]
    given: Mapping[str, tree.Value]
    lost: Collection[str]
    above: dict[str, tree.Let] = field(default_factory=dict)
    faulty: set[str] = field(default_factory=set)
    used: dict[Span, tree.Let | None] = field(default_factory=dict)
    left: int = MAX_LENGTH

    def declare(self, node: tree.Let) -> None:
        """Let a name stand for a value.

        Raises
        ------
        RefusedError
            If it is let already, its value is of no kind, or is another name that is let below.
        """
        name = node.name.text
        if name in self.above:
            place = self.above[name].span.seen_from(node.span)
            raise RefusedError(f"`{clip(name)}` is already let at {place}", node.name.span, "drop one of the two")
        early = next((x for x in _names(node.value) if x.text in self.places and x.text not in self.above), None)
        resolved: tree.Let = self.resolved(node)
        self.above[name] = replace(resolved, value=self.given.get(name, resolved.value))
        try:
            kind_of(self.above[name].value)
        except RefusedError:
            self.faulty.add(name)
            raise
        if early:
            del self.used[early.span]  # it is no value that is wrong
            if early.text == name:
                raise RefusedError(f"`{clip(name)}` is let by itself", early.span)
            raise RefusedError(self._below(early.span), early.span, "move it above this line")

    def resolved(self, node: Any) -> Any:
        """Put values in the place of their names, in a statement or a part of one."""
        if isinstance(node, tuple):
            return tuple(map(self.resolved, node))
        if not is_dataclass(node) or isinstance(node, type | Span):
            return node
        parts = {part.name: getattr(node, part.name) for part in fields(node)}
        place = VALUES.get(type(node))
        changed = {n: self._valued(x) if n == place else self.resolved(x) for n, x in parts.items()}
        return replace(node, **changed)

    def explained(self, said: Diagnostic) -> Diagnostic | None:
        """Add to what is wrong with a value where it was let; None where that statement is lost: it was said."""
        if said.span not in self.used:
            return said
        name, let = said.span.text, self.used[said.span]
        if let is not None:
            if name in self.faulty:
                return None
            value = f"`{clip(name)}` is `{clip(let.value.span.text)}`, a {kind_of(let.value).name}"
            given = let.value.span.source.name == SETTING
            place = f"by {SETTING}" if given else f"let at {let.span.seen_from(said.span)}"
            return replace(said, help="; ".join(filter(None, (f"{value}, {place}", said.help))))
        if name in self.lost and "let" in self.lost:
            return None
        if name in self.places:
            return replace(said, help=f"{self._below(said.span)}: move it above this line")
        way_out = did_you_mean(name, self.above) or said.help or f"let it above: `let {clip(name)} = VALUE`"
        return replace(said, help=way_out)

    def _valued(self, value: Any) -> Any:
        """Put the value of a name in its place; a list in a list is no value, and its name is left there."""
        if isinstance(value, tuple):
            moved = map(self._valued, value)
            return tuple(item if isinstance(x, tree.Sequence) else x for item, x in zip(value, moved, strict=True))
        return self.value(value) if isinstance(value, tree.Name) else self.resolved(value)

    def value(self, name: tree.Name) -> tree.Value:
        """What a name stands for, in its place; itself where none above lets it.

        Raises
        ------
        RefusedError
            If names stand for too much in all.
        """
        let = self.used[name.span] = self.above.get(name.text)
        if let is None:
            return name
        if self.left >= 0:
            self.left -= _length(let.value)
        if self.left < 0:
            message = f"names stand for more than {MAX_LENGTH:,} characters in all"
            raise RefusedError(message, name.span, "a spec is no longer than that with values in place of names")
        return _moved(let.value, name.span)

    def _below(self, name: Span) -> str:
        return f"`{clip(name.text)}` is let only at {self.places[name.text].seen_from(name)}"


def _moved(value: tree.Value, span: Span) -> tree.Value:
    """Give a value the place of the name that stands for it: what is wrong with it is wrong there."""
    if isinstance(value, tree.Sequence):
        return tree.Sequence(tuple(_moved(item, span) for item in value.items), span)
    return replace(value, span=span)


def _length(value: tree.Value) -> int:
    return sum(map(_length, value.items)) + 1 if isinstance(value, tree.Sequence) else len(value.text)


def _names(value: tree.Value) -> Iterator[tree.Name]:
    if isinstance(value, tree.Name):
        yield value
    elif isinstance(value, tree.Sequence):
        for item in value.items:
            yield from _names(item)
