"""Selections to predicates: names resolved, comparisons typed, patterns compiled."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import cast, get_args

from qtnc.errors import did_you_mean
from qtnc.spec import program, tree
from qtnc.spec.pattern import Pattern, PatternError
from qtnc.spec.rank import KEYS
from qtnc.spec.values import RefusedError, count, listing
from qtnc.spec.wording import clip

FIELDS = ("name", "weight.elements")
"""What a condition may ask of a layer."""

SIGNS: tuple[str, ...] = get_args(program.Sign)


@dataclass(frozen=True)
class Scope:
    """The selector being defined, those above it, the line of each, and names that bad statements may have declared."""

    name: str
    above: Collection[str]
    lines: Mapping[str, int]
    lost: Collection[str]


def is_op(name: str) -> bool:
    """Op types begin with a capital letter, selectors do not: neither is ever taken for the other."""
    return name[0].isupper()


def predicate(node: tree.Expression, scope: Scope, problems: list[RefusedError]) -> program.Predicate:
    """Turn a selection into what it asks of a layer; what is wrong in it is added to ``problems``."""
    match node:
        case tree.Everything(span):
            return program.AnyLayer(span)
        case tree.Either(parts, span):
            return program.OneOf(tuple(predicate(part, scope, problems) for part in parts), span)
        case tree.Both(parts, span):
            return program.AllOf(tuple(predicate(part, scope, problems) for part in parts), span)
        case tree.Complement(part, span):
            return program.NoneOf(predicate(part, scope, problems), span)
        case tree.Filtered(base, condition, span):
            both = (predicate(base, scope, problems), predicate(condition, scope, problems))
            return program.AllOf(both, span)
        case tree.Top(number, base, key, span):
            return program.Top(_size(number, problems), predicate(base, scope, problems), _key(key, problems), span)
        case tree.Layers() | tree.Comparison():
            try:
                return _layers(node, scope) if isinstance(node, tree.Layers) else _comparison(node)
            except RefusedError as problem:
                problems.append(problem)
                return program.AnyLayer(node.span)


def _layers(node: tree.Layers, scope: Scope) -> program.Predicate:
    name = node.name.text
    if is_op(name):
        return program.OpIs(name, node.span)
    if name == scope.name and name not in scope.above:
        raise RefusedError(f"`{name}` is selected by itself", node.span)
    if name not in scope.above and name in scope.lines:
        message = f"`{name}` is used before it is selected at line {scope.lines[name]}"
        raise RefusedError(message, node.span, f"move `select {name}` above this line")
    if name not in scope.above and name not in scope.lost:
        raise unknown_selector(node.name, scope.above)
    return program.InSelector(name, node.span)


def _size(number: tree.Number, problems: list[RefusedError]) -> int:
    try:
        return count("`top`", number)
    except RefusedError as problem:
        problems.append(problem)
        return 1


def _key(key: tree.Name, problems: list[RefusedError]) -> str:
    if key.text not in KEYS:
        way_out = " ".join(filter(None, (did_you_mean(key.text, KEYS), f"keys are {listing(KEYS)}")))
        problems.append(RefusedError(f"unknown key `{clip(key.text)}`", key.span, way_out))
    return key.text


def unknown_selector(name: tree.Name, known: Collection[str]) -> RefusedError:
    """Say that there is no such selector, and which there are."""
    way_out = did_you_mean(name.text, known) or (f"selectors are {listing(known)}" if 0 < len(known) <= 10 else None)
    if is_op(name.text):
        way_out = f"`{name.text}` is an op; name a set first: `select layers = {name.text}`"
    return RefusedError(f"unknown selector `{clip(name.text)}`", name.span, way_out)


def _comparison(node: tree.Comparison) -> program.Predicate:
    field, sign, value = node.field.text, node.comparator, node.value
    if field == "name":
        if sign.text != "~":
            way_out = 'write `name ~ "GLOB"` or `name ~ re"REGEX"`'
            raise RefusedError(f"`name` is matched by `~`, not compared by `{sign.text}`", sign.span, way_out)
        if isinstance(value, tree.Number):
            found = clip(value.text)
            raise RefusedError(f'`name` is matched by a glob or `re"..."`, not `{found}`', value.span)
        return program.NameIs(_pattern(value), node.span)
    if field != "weight.elements":
        way_out = did_you_mean(field, FIELDS) or f"conditions are on {listing(FIELDS)}"
        raise RefusedError(f"unknown field `{clip(field)}`", node.field.span, way_out)
    if sign.text not in SIGNS:
        way_out = f"compare it by {listing(SIGNS, 'or')}"
        raise RefusedError(f"`{field}` is a number and has nothing to match by `{sign.text}`", sign.span, way_out)
    elements = count(f"`{field}`", value, least=0)
    return program.ElementsAre(cast("program.Sign", sign.text), elements, node.span)


def _pattern(value: tree.String | tree.Regex) -> Pattern:
    if not value.text:
        raise RefusedError("an empty pattern", value.span, '`"*"` matches every name')
    pattern = Pattern(value.text, "regex" if isinstance(value, tree.Regex) else "glob")
    try:
        pattern.matches("")  # compiles it
    except PatternError as error:
        raise RefusedError(f"bad {pattern.kind}: {clip(str(error), 80)}", value.span) from None
    return pattern
