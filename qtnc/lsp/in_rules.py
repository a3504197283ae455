"""What may be written in a rule: operators, kinds, functions, and the names of what is found and computed above."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any, Final

import onnx

from qtnc.lsp.reading import Reading
from qtnc.rules.functions import FUNCTIONS, Function
from qtnc.rules.operators import CLASSES
from qtnc.source import Span
from qtnc.spec import atoms
from qtnc.spec.ahead import Path
from qtnc.spec.rules import tree as rule_tree
from qtnc.spec.rules.kinds import ELEMENTS, GROUPS, RANK, SHAPES

FOUND: Final = (rule_tree.Equation, rule_tree.Operation, rule_tree.Alternatives, rule_tree.Labelled, rule_tree.Capture)
"""Nodes of what a rule looks for; others compute."""


OWN: Final = ("names", "mark", "share")
"""Parts in which none of these stands."""


@dataclass(frozen=True)
class Word:
    """A word that means something, what it is, and in a line what it means."""

    text: str
    what: str
    meaning: str = ""


def words_at(path: Path, reading: Reading, offset: int) -> Iterator[Word]:
    """Words that mean something where a path of a statement of a rule leads."""
    node, part = path[-1].node, path[-1].field
    if type(node).__module__ != rule_tree.__name__:
        return
    if isinstance(node, rule_tree.Counted) or part == "kinds":
        yield from (Word(kind, "kind") for kind in (*SHAPES, RANK, *GROUPS, *ELEMENTS))
    elif isinstance(node, rule_tree.Attribute | rule_tree.Setting | rule_tree.Axes) or part in OWN:
        return
    elif isinstance(node, FOUND):
        if not isinstance(node, rule_tree.Labelled):
            yield from (Word(op, "class of operators", ", ".join(sorted(ops))) for op, ops in CLASSES.items())
            yield from (Word(op, "operator") for op in operators())
    else:
        yield from (Word(name, "name") for name in names_above(reading, offset))
        yield from (Word(name, signature(name, function), function.meaning) for name, function in FUNCTIONS.items())
        yield from (Word(op, "operator") for op in operators())


def signature(name: str, function: Function) -> str:
    """What a function takes and gives."""
    takes = [sort.value for sort in function.parameters] + ([f"{function.rest.value} ..."] if function.rest else [])
    return f"{name}({', '.join(takes)}): {function.result.value}"


def names_above(reading: Reading, offset: int) -> tuple[str, ...]:
    """Names that statements of the rule at an offset have above it."""
    rules = [s for s in reading.found.tree.statements if isinstance(s, rule_tree.Rule) and s.span.start <= offset]
    if not rules:
        return ()
    return tuple(dict.fromkeys(name for s in rules[-1].statements if s.span.end <= offset for name in _named(s)))


@cache
def operators() -> tuple[str, ...]:
    """Operators of ONNX's standard domain."""
    return tuple(sorted({schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""}))


def _named(node: Any) -> Iterator[str]:
    """Names that a part of a rule gives."""
    if isinstance(node, rule_tree.Capture | rule_tree.Labelled):
        yield node.name.text
    for part in fields(node):
        value = getattr(node, part.name)
        for item in value if isinstance(value, tuple) else (value,):
            if part.name == "names" and isinstance(item, atoms.Name):
                yield item.text
            elif is_dataclass(item) and not isinstance(item, Span) and not isinstance(node, rule_tree.Assignment):
                yield from _named(item)
