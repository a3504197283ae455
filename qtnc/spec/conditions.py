"""Selections to predicates: names resolved, sets put together."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from qtnc.errors import did_you_mean
from qtnc.source import Span
from qtnc.spec import program, tree
from qtnc.spec.comparisons import fact
from qtnc.spec.rank import AT_STRUCTURE, KEYS
from qtnc.spec.values import RefusedError, count, listing
from qtnc.spec.wording import clip


@dataclass(frozen=True)
class Scope:
    """What a selection may speak of.

    Attributes
    ----------
    name : the selector being defined; ``above`` are those above it.
    places : where each is.
    lost : names that bad statements may have declared.
    build : the structure that a chain of calls means, None where it is wrong, which is complained of elsewhere.
    """

    name: str
    above: Collection[str]
    places: Mapping[str, Span]
    lost: Collection[str]
    build: Callable[[Sequence[tree.Call]], Any]


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
        case tree.Top():
            return _top(node, scope, problems)
        case tree.Reach(word, base, span):
            direction = cast("program.Direction", word.text)
            return program.Reach(direction, predicate(base, scope, problems), span)
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
    if name not in scope.above and name in scope.places:
        message = f"`{name}` is used before it is selected at {scope.places[name].seen_from(node.span)}"
        raise RefusedError(message, node.span, f"move `select {name}` above this line")
    if name not in scope.above and name not in scope.lost:
        raise unknown_selector(node.name, scope.above)
    return program.InSelector(name, node.span)


def _top(node: tree.Top, scope: Scope, problems: list[RefusedError]) -> program.Top:
    """Check all of it, whatever is wrong with a part."""
    number, word, key = 1, node.word.text, node.key.text
    try:
        number = count(f"`{word}`", node.count, doc=f"as in `{word} 4 of SET by KEY`")
    except RefusedError as problem:
        problems.append(problem)
    base = predicate(node.base, scope, problems)
    if key not in KEYS:
        way_out = " ".join(filter(None, (did_you_mean(key, KEYS), f"keys are {listing(KEYS)}")))
        problems.append(RefusedError(f"unknown key `{clip(key)}`", node.key.span, way_out))
    elif key in AT_STRUCTURE and node.chain is None:
        way_out = f"as in `by {key} of lowrank(bytes: 30%)`"
        problems.append(RefusedError(f"`{key}` is that of a structure", node.key.span, way_out))
    elif key not in AT_STRUCTURE and node.chain:
        way_out = f"write `by {key}`"
        problems.append(RefusedError(f"`{key}` is that of no structure", node.chain[0].span, way_out))
    structure = scope.build(node.chain) if node.chain else None
    return program.Top(number, base, key, node.span, word == "bottom", structure)


def unknown_selector(name: tree.Name, known: Collection[str]) -> RefusedError:
    """Say that there is no such selector, and which there are."""
    way_out = did_you_mean(name.text, known) or (f"selectors are {listing(known)}" if 0 < len(known) <= 10 else None)
    if is_op(name.text):
        way_out = f"`{name.text}` is an op; name a set first: `select layers = {name.text}`"
    return RefusedError(f"unknown selector `{clip(name.text)}`", name.span, way_out)
