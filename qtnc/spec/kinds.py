"""What kind of value a `let` names: said where its use wants another, and refused where it is of none."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from qtnc.spec import tree
from qtnc.spec.comparisons import SIDES, pattern_of
from qtnc.spec.values import RefusedError, quantity


@dataclass(frozen=True)
class ValueKind:
    """A kind of value: how it is called, values of it as a spec writes them, and what takes it."""

    name: str
    examples: tuple[str, ...]
    taken_by: str


NUMBER = ValueKind(
    "number", ("64", "100_000", "64Ki", "1e-6"), "options, conditions, `bind`, `take`, `top`, `bottom`, `divisible by`"
)
PERCENTAGE = ValueKind("percentage", ("30%", "0.5%"), "options, `within`, conditions on `depth`")
SHAPE = ValueKind("shape", ("384x1536", "*x1536", "8x16"), "conditions on `weight.shape`, sites in a list")
WORD = ValueKind("word", ("auto", "cross", "float16"), "options, conditions on `weight.dtype`")
STRING = ValueKind("string", ('"*.mlp.*"', '"calib.npz"'), "`npz`, options that take text, `name ~` as a glob")
PATTERN = ValueKind("pattern", (r're"layers\.\d+"',), "`name ~`")
LIST = ValueKind("list", ("[0, 11]", "[8x16, 16x24]"), "`in`, the option `sites`")

KINDS = (NUMBER, PERCENTAGE, SHAPE, WORD, STRING, PATTERN, LIST)
"""Every kind there is."""


def kind_of(value: tree.Value) -> ValueKind:
    """Find the kind of a value.

    Raises
    ------
    RefusedError
        If it is of none: no number that there is, a pattern that does not compile, a list within a list.
    """
    return _READERS[type(value)](value)


def _number(value: tree.Number) -> ValueKind:
    if SIDES.fullmatch(value.text) and not re.fullmatch("[0-9]+", value.text):
        return SHAPE
    return PERCENTAGE if quantity(value).percent else NUMBER


def _pattern(value: tree.Regex) -> ValueKind:
    pattern_of(value)
    return PATTERN


def _list(value: tree.Sequence) -> ValueKind:
    for item in value.items:
        if kind_of(item) is LIST:
            raise RefusedError("a list holds no lists", item.span, "write its values one by one")
    return LIST


_READERS: Mapping[type[Any], Callable[[Any], ValueKind]] = {
    tree.Number: _number,
    tree.Name: lambda value: WORD,
    tree.String: lambda value: STRING,
    tree.Regex: _pattern,
    tree.Sequence: _list,
}
