"""What a rule may say of an operator: how much it reads and makes, and which attributes it has.

ONNX's operators are those of any opset from the oldest that is compiled: a rule may be about models of several, and
what a model's own opset does not have is found out there. Operators of other domains are taken as they are written.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import onnx

from qtnc.errors import did_you_mean
from qtnc.rules.functions import Sort
from qtnc.rules.operators import CLASSES
from qtnc.source import Span
from qtnc.spec.values import RefusedError, listing
from qtnc.spec.wording import clip

OLDEST: Final = 13
"""The oldest opset that is compiled."""

_ONNX: Final = ("", "ai.onnx.ml")
"""Domains of which all operators are known."""

_Types = onnx.defs.OpSchema.AttrType

SORTS: Final[Mapping[_Types, Sort]] = {
    _Types.INT: Sort.NUMBER,
    _Types.FLOAT: Sort.NUMBER,
    _Types.STRING: Sort.TEXT,
    _Types.INTS: Sort.LIST,
    _Types.FLOATS: Sort.LIST,
    _Types.STRINGS: Sort.LIST,
}
"""What attributes are in a rule; those of other types, such as tensors and graphs, it neither reads nor writes."""


@dataclass(frozen=True)
class Operator:
    """One operator, or what several have in common.

    Attributes
    ----------
    word : as it is written in a spec.
    least, most : how many inputs it reads.
    results : how many it makes at most.
    attributes : their types by name; None where nothing is known of them.
    required : attributes without which there is no such node.
    """

    word: str
    least: int
    most: int
    results: int
    attributes: Mapping[str, _Types] | None
    required: frozenset[str] = frozenset()


ANYTHING: Final = 1 << 31


@cache
def _onnx() -> Mapping[str, Operator]:
    """Every operator of ONNX, by its word."""
    newest: dict[str, list[onnx.defs.OpSchema]] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain in _ONNX and not schema.deprecated:
            word = f"{schema.domain}.{schema.name}" if schema.domain else schema.name
            newest.setdefault(word, []).append(schema)
    return {word: _several(word, schemas) for word, schemas in newest.items()}


def _several(word: str, schemas: list[onnx.defs.OpSchema]) -> Operator:
    schemas.sort(key=lambda schema: schema.since_version)
    older = [schema for schema in schemas if schema.since_version <= OLDEST]
    used = [*older[-1:], *(schema for schema in schemas if schema.since_version > OLDEST)]
    attributes = {name: a.type for schema in used for name, a in schema.attributes.items()}
    required = [frozenset(name for name, a in schema.attributes.items() if a.required) for schema in used]
    return Operator(
        word,
        min(schema.min_input for schema in used),
        max(schema.max_input for schema in used),
        max(schema.max_output for schema in used),
        attributes,
        frozenset.intersection(*required),
    )


def operator(word: str, span: Span) -> Operator:
    """What is known of an operator.

    Raises
    ------
    RefusedError
        If ONNX has none of the name.
    """
    domain, _, name = word.rpartition(".")
    known = _onnx()
    if domain not in _ONNX:
        return Operator(word, 0, ANYTHING, ANYTHING, None)
    if word not in known:
        near = in_capitals(word) or did_you_mean(word, (*known, *CLASSES))
        way_out = near or f"operators of other domains have it in front, as in `com.microsoft.{clip(name)}`"
        raise RefusedError(f"unknown operator `{clip(word)}`", span, way_out)
    return known[word]


def is_operator(word: str) -> bool:
    """Whether a word is that of one of ONNX's operators."""
    return word in _onnx()


def in_capitals(word: str) -> str | None:
    """The way out where a word is an operator, but for its capital letters."""
    names = {name.lower(): name for name in _onnx()}
    return f"did you mean `{names[word.lower()]}`?" if word.lower() in names else None


def operators(word: str, span: Span) -> tuple[Operator, ...]:
    """What is known of an operator, or of all of a class."""
    if word in CLASSES:
        return tuple(_onnx()[name] for name in sorted(CLASSES[word]) if name in _onnx())
    if word[0].islower() and "." not in word:
        near = in_capitals(word) or did_you_mean(word, CLASSES)
        message = f"`{clip(word)}` is no class of operators"
        raise RefusedError(
            message, span, near or f"classes are {listing(CLASSES)}; operators begin with a capital letter"
        )
    return (operator(word, span),)


def common(found: Iterable[Operator], attribute: str) -> tuple[bool, _Types | None]:
    """Whether some of these operators have an attribute, and of which type; None where nothing is known of it."""
    several = list(found)
    if any(one.attributes is None for one in several):
        return True, None
    types = [one.attributes[attribute] for one in several if one.attributes and attribute in one.attributes]
    return bool(types), types[0] if types else None


def known_attribute(found: Iterable[Operator], name: str, title: str, span: Span) -> _Types | None:
    """The type of an attribute of some operators; None where nothing is known of it.

    Raises
    ------
    RefusedError
        If none of them has it, or it is neither a number nor a text nor a list of them.
    """
    several = tuple(found)
    has, kind = common(several, name)
    if not has:
        names = sorted({name for one in several for name in one.attributes or ()})
        way_out = did_you_mean(name, names) or (f"attributes are {listing(names)}" if names else "it has none")
        raise RefusedError(f"`{title}` has no attribute `{clip(name)}`", span, way_out)
    if kind is not None and kind not in SORTS:
        message = f"`{clip(name)}` of `{title}` is a {str(kind).rpartition('.')[2].lower()}"
        raise RefusedError(message, span, "a rule reads and writes attributes that are numbers, texts or lists of them")
    return kind
