"""Names of a spec: where each is declared, and where it is used."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final

from qtnc.source import Span
from qtnc.spec import tree
from qtnc.spec.conditions import is_op
from qtnc.spec.lets import VALUES
from qtnc.spec.rules import tree as rule_tree

USES: Final = {"selector": tree.Select, "data": tree.Data, "base": tree.Stage}
"""What declares the name that stands in a part of a node, by that part."""


@dataclass(frozen=True)
class Mention:
    """A name where it stands: the kind of statement that declares it, and whether this is that statement."""

    kind: type[Any]
    name: str
    span: Span
    statement: Any
    declares: bool


def declarer(node: Any, part: str) -> type[Any] | None:
    """The kind of statement that declares what a name in a part of a node stands for; None where none does."""
    if isinstance(node, tree.Layers):
        return tree.Select
    if VALUES.get(type(node)) == part or (isinstance(node, rule_tree.Within) and part == "share"):
        return tree.Let
    return USES.get(part)


def mentions(statements: Iterable[Any]) -> Iterator[Mention]:
    """All names that statements declare and use, in the order of the text."""
    for statement in statements:
        name = getattr(statement, "name", None)
        if isinstance(name, tree.Name):
            yield Mention(type(statement), name.text, name.span, statement, True)
        yield from _uses(statement, statement)


def flat(statements: Sequence[Any]) -> Iterator[Any]:
    """Statements, each before those that stand in it."""
    for statement in statements:
        yield statement
        yield from flat(getattr(statement, "statements", ()))


def _uses(node: Any, statement: Any) -> Iterator[Mention]:
    for part in fields(node):
        value = getattr(node, part.name)
        kind = declarer(node, part.name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, tree.Name):
                if kind is not None and not (kind is tree.Select and is_op(item.text)):
                    yield Mention(kind, item.text, item.span, statement, False)
            elif item in getattr(node, "statements", ()):
                yield from mentions([item])
            elif is_dataclass(item) and not isinstance(item, Span):
                yield from _uses(item, statement)
