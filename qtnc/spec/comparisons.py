"""Conditions on one field of a layer: the field known, the comparison possible, the value of its kind."""

import re
from collections.abc import Collection
from difflib import get_close_matches
from fractions import Fraction
from typing import Literal, cast, get_args

from qtnc.errors import did_you_mean
from qtnc.spec import program, tree
from qtnc.spec.facts import DTYPES, NUMBERS
from qtnc.spec.pattern import Pattern, PatternError
from qtnc.spec.values import RefusedError, count, listing, quantity
from qtnc.spec.wording import clip

DEPTH = "depth"
COUNTED = (*NUMBERS, DEPTH)
"""Fields that are numbers."""

FIELDS = ("name", *COUNTED, "weight.shape", "weight.dtype")
"""What a condition may ask of a layer."""

SIGNS: tuple[str, ...] = get_args(program.Sign)

MEANINGS = {
    "name": "the canonical name of the layer",
    "weight.elements": "elements of the weight",
    "weight.bytes": "bytes that the weight is stored in",
    "weight.rows": "M of a product x . W with W of M x N",
    "weight.columns": "N of a product x . W with W of M x N",
    "block": "the first number in the layer's name",
    "depth": "how many layers come before, or their share of all",
    "weight.shape": "sides of the weight as stored",
    "weight.dtype": "element type of the weight",
}
"""What a field is of a layer."""

ALIASES = {"float": "float32", "double": "float64", "half": "float16"}
"""What others call an element type."""

SIDES = re.compile(r"(?:\*|[0-9]{1,18})(?:x(?:\*|[0-9]{1,18}))*")
"""A shape: sides, of which any may be ``*``."""


def fact(node: tree.Fact) -> program.Fact:
    """Turn a condition on a field into what it asks of a layer.

    Raises
    ------
    RefusedError
        If there is no such field, or the comparison or the value is not for it.
    """
    field = node.field.text
    if field not in FIELDS:
        # By what stands after `weight.`, which makes any two fields alike.
        tails = {known.rpartition(".")[2]: known for known in FIELDS}
        near = [tails[tail] for tail in get_close_matches(field.rpartition(".")[2], tails, n=1)]
        way_out = f"did you mean `{near[0]}`?" if near else f"conditions are on {listing(FIELDS)}"
        raise RefusedError(f"unknown field `{clip(field)}`", node.field.span, way_out)
    if isinstance(node, tree.Comparison):
        return _comparison(field, node)
    if field not in COUNTED:
        how = "listed" if isinstance(node, tree.Membership) else "divided"
        raise RefusedError(f"`{field}` is no number and cannot be {how}", node.field.span, ways(field))
    if isinstance(node, tree.Divisible):
        return program.DivisibleBy(
            field, count("`divisible by`", node.divisor, doc=f"as in `{field} divisible by 64`"), node.span
        )
    if not isinstance(node.values, tree.Sequence):
        message = f"`in` takes a list, not `{clip(node.values.span.text)}`"
        raise RefusedError(message, node.values.span, f"list numbers, as in `{field} in [0, 5]`")
    if not node.values.items:
        raise RefusedError("an empty list", node.values.span, f"list numbers, as in `{field} in [0, 5]`")
    return program.NumberIn(field, tuple(_count(field, value) for value in node.values.items), node.span)


def _comparison(field: str, node: tree.Comparison) -> program.Fact:
    match field:
        case "name":
            return _name(node)
        case "weight.shape":
            return program.ShapeIs(_equality(field, node), _sides(node.value), node.span)
        case "weight.dtype":
            return program.DtypeIs(_equality(field, node), _dtype(node.value), node.span)
        case _:
            return _number(field, node)


def _name(node: tree.Comparison) -> program.NameIs:
    sign, value = node.comparator, node.value
    if sign.text != "~":
        raise RefusedError(f"`name` is matched by `~`, not compared by `{sign.text}`", sign.span, ways("name"))
    if not isinstance(value, tree.String | tree.Regex):
        near = f'did you mean `"{clip(value.text)}"`?' if isinstance(value, tree.Name) else None
        message = f'`name` is matched by a glob or `re"..."`, not `{clip(value.span.text)}`'
        raise RefusedError(message, value.span, near)
    return program.NameIs(pattern_of(value), node.span)


def _number(field: str, node: tree.Comparison) -> program.NumberIs | program.DepthIs:
    sign, value = node.comparator, node.value
    if sign.text not in SIGNS:
        way_out = f"compare it by {listing(SIGNS, 'or')}"
        raise RefusedError(f"`{field}` is a number and has nothing to match by `{sign.text}`", sign.span, way_out)
    comparator = cast("program.Sign", sign.text)
    if field == DEPTH and isinstance(value, tree.Number) and value.text.endswith("%"):
        return program.DepthIs(comparator, _share(value), node.span)
    return program.NumberIs(field, comparator, _count(field, value), node.span)


def _count(field: str, value: tree.Value) -> int:
    doc = f"`{field}`: {MEANINGS[field]}"
    if field == DEPTH and isinstance(value, tree.Number) and re.fullmatch(r"0?\.[0-9]{1,3}", value.text):
        doc = f"did you mean `{(quantity(value).value * 100).normalize():f}%`?"
    return count(f"`{field}`", value, least=0, doc=doc)


def _share(value: tree.Number) -> Fraction:
    share = Fraction(quantity(value).value) / 100
    if not 0 <= share <= 1:
        message = f"`{DEPTH}` is from 0% to 100%, not `{clip(value.text)}`"
        raise RefusedError(message, value.span, f"`{DEPTH}`: {MEANINGS[DEPTH]}")
    return share


def _equality(field: str, node: tree.Comparison) -> Literal["==", "!="]:
    sign = node.comparator
    if sign.text not in ("==", "!="):
        message = f"`{field}` is compared by `==` or `!=`, not by `{sign.text}`"
        raise RefusedError(message, sign.span, ways(field))
    return cast("Literal['==', '!=']", sign.text)


def _sides(value: tree.Value) -> tuple[int | None, ...]:
    if not isinstance(value, tree.Number) or not SIDES.fullmatch(value.text):
        message = f"`weight.shape` takes a shape such as `384x1536` or `*x1536`, not `{clip(value.span.text)}`"
        raise RefusedError(message, value.span, "its sides are whole numbers, or `*` for any")
    return tuple(None if side == "*" else int(side) for side in value.text.split("x"))


def _dtype(value: tree.Value) -> str:
    word = value.text if isinstance(value, tree.Name) else None
    if word is None or word not in DTYPES:
        meant = (value.text if isinstance(value, tree.String) else word) or ""
        near = f"did you mean `{ALIASES[meant]}`?" if meant in ALIASES else did_you_mean(meant, DTYPES)
        message = f"`weight.dtype` takes {listing(DTYPES, 'or')}, not `{clip(value.span.text)}`"
        raise RefusedError(message, value.span, near or "layers have floating-point weights only")
    return word


def ways(field: str) -> str:
    """How a field that is no number is compared."""
    known: dict[str, Collection[str]] = {
        "name": ('name ~ "GLOB"', 'name ~ re"REGEX"'),
        "weight.shape": ("weight.shape == 384x1536", "weight.shape == *x1536"),
        "weight.dtype": ("weight.dtype == float32",),
    }
    return f"write {listing(known[field], 'or')}"


def pattern_of(value: tree.String | tree.Regex) -> Pattern:
    """Read what stands behind ``~``.

    Raises
    ------
    RefusedError
        If it is empty, malformed or too long.
    """
    if not value.text:
        raise RefusedError("an empty pattern", value.span, '`"*"` matches every name')
    pattern = Pattern(value.text, "regex" if isinstance(value, tree.Regex) else "glob")
    try:
        pattern.matches("")  # compiles it
    except PatternError as error:
        raise RefusedError(f"bad {pattern.kind}: {clip(str(error), 80)}", value.span) from None
    return pattern
