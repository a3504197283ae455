"""Selections to predicates: names resolved, sets put together."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from qtnc.errors import did_you_mean
from qtnc.spec import program, tree
from qtnc.spec.comparisons import fact
from qtnc.spec.rank import KEYS
from qtnc.spec.values import RefusedError, count, listing
from qtnc.spec.wording import clip


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
        case tree.Layers() | tree.Comparison() | tree.Membership() | tree.Divisible():
            try:
                return _layers(node, scope) if isinstance(node, tree.Layers) else fact(node)
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
