"""Selectors to layers: who is selected, why nobody is, and which rewrite has the last word on a layer."""

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from qtnc.errors import Diagnostic, InternalError, SpecError, did_you_mean
from qtnc.source import Span
from qtnc.spec import program
from qtnc.spec.pattern import Pattern
from qtnc.spec.rank import LayerFacts, Ranking
from qtnc.spec.values import RefusedError, listing

Selected = Mapping[str, tuple[str, ...]]
"""Layer names by selector."""


@dataclass(frozen=True)
class Members:
    """Names of layers, as far as they are settled: those of selectors, and those of every ``top`` by its place."""

    selectors: dict[str, frozenset[str]] = field(default_factory=dict)
    tops: dict[Span, frozenset[str]] = field(default_factory=dict)


def select_layers(spec: program.Spec, layers: Sequence[LayerFacts]) -> dict[str, tuple[str, ...]]:
    """Find the layers of every selector.

    Parameters
    ----------
    spec
        Whose selectors.
    layers
        All that can be selected, in the order of the model.

    Returns
    -------
    dict
        Layer names by selector, in the order of ``layers``.

    Raises
    ------
    SpecError
        With a diagnostic for every selector that matches nothing, at the part of it that let nothing through, and for
        every ``top`` whose layers have nothing to be ranked by.
    """
    chosen: dict[str, tuple[str, ...]] = {}
    members = Members()
    ranking = Ranking()
    errors = []
    for name, select in spec.selects.items():
        # Backwards, so that a `top` of another comes after it.
        for top in reversed([part for part in program.walk(select.predicate) if isinstance(part, program.Top)]):
            among = [layer for layer in layers if holds(top.base, layer, members)]
            members.tops[top.span] = frozenset(layer.name for layer in among)
            try:
                members.tops[top.span] = ranking.top(top, among)
            except RefusedError as refused:
                errors.append(refused.diagnostic)
        chosen[name] = tuple(layer.name for layer in layers if holds(select.predicate, layer, members))
        members.selectors[name] = frozenset(chosen[name])
        # A selector that is empty because an earlier one is would be the same error again.
        if not chosen[name] and all(members.selectors[used] for used in _selectors(select.predicate)):
            errors.append(_explain(select, layers, members))
    if errors:
        raise SpecError(*errors)
    return chosen


def claims(spec: program.Spec, selected: Selected) -> dict[str, tuple[program.Rewrite, ...]]:
    """Find the rewrites that claim each layer, the one that wins first: the last in the text.

    Parameters
    ----------
    spec
        Whose rewrites.
    selected
        What :func:`select_layers` found.

    Returns
    -------
    dict
        Rewrites by layer name; layers that none claims are absent.
    """
    found: dict[str, tuple[program.Rewrite, ...]] = {}
    for rewrite in spec.rewrites:
        for layer in selected[rewrite.selector]:
            found[layer] = (rewrite, *found.get(layer, ()))
    return found


_COMPARE: dict[program.Sign, Callable[[int, int], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def holds(predicate: program.Predicate, layer: LayerFacts, members: Members) -> bool:
    """Whether ``predicate`` is true of ``layer``; ``members`` has the selectors above and every ``top`` in it."""
    match predicate:
        case program.AnyLayer():
            return True
        case program.OpIs(op):
            return layer.op == op
        case program.InSelector(selector):
            return layer.name in members.selectors[selector]
        case program.NameIs(pattern):
            return pattern.matches(layer.name)
        case program.ElementsAre(comparator, value):
            return _COMPARE[comparator](layer.elements, value)
        case program.AllOf(parts):
            return all(holds(part, layer, members) for part in parts)
        case program.OneOf(parts):
            return any(holds(part, layer, members) for part in parts)
        case program.NoneOf(part):
            return not holds(part, layer, members)
        case program.Top(span=span):
            return layer.name in members.tops[span]


def _selectors(predicate: program.Predicate) -> set[str]:
    return {part.selector for part in program.walk(predicate) if isinstance(part, program.InSelector)}


def _explain(select: program.Select, layers: Sequence[LayerFacts], members: Members) -> Diagnostic:
    """Go through the conditions in order, and say which one let nothing through, and of what."""
    if not layers:
        return Diagnostic(f"`{select.name}` selects nothing", select.span, "the model has no layers with weights")
    left = list(layers)
    for part in _conjuncts(select.predicate):
        kept = [layer for layer in left if holds(part, layer, members)]
        if not kept:
            return Diagnostic(f"`{select.name}` selects nothing", part.span, _reason(part, left, len(layers)))
        left = kept
    raise InternalError(f"`{select.name}` is empty, but no part of it is")


def _conjuncts(predicate: program.Predicate) -> list[program.Predicate]:
    if isinstance(predicate, program.Top):
        return [*_conjuncts(predicate.base), predicate]
    if not isinstance(predicate, program.AllOf):
        return [predicate]
    return [conjunct for part in predicate.parts for conjunct in _conjuncts(part)]


def _reason(part: program.Predicate, left: Sequence[LayerFacts], total: int) -> str:
    """Say why none of ``left``, the layers that met all before, meets ``part``."""
    among = _count(left, total)
    match part:
        case program.OpIs(op):
            ops = sorted({layer.op for layer in left})
            near = did_you_mean(op, ops)
            return f"{among}, none is a `{op}`; " + (near or f"they are {listing(ops)}")
        case program.NameIs(pattern):
            return f"{among}, none is named so; {_nearest(pattern, [layer.name for layer in left])}"
        case program.ElementsAre(comparator):
            extreme, word = (min, "smallest") if comparator in ("<", "<=") else (max, "largest")
            layer = extreme(left, key=lambda layer: layer.elements)
            return f"{among}, none has {part.span.text}; the {word} is `{layer.name}` with {layer.elements:,}"
        case _:
            return f"{among}, none meets this; they are {_some(layer.name for layer in left)}"


def _count(left: Sequence[LayerFacts], total: int) -> str:
    ops = {layer.op for layer in left}
    kind = f"{next(iter(ops))} layer" if len(ops) == 1 else "layer"
    plural = "s" if len(left) != 1 else ""
    return f"of {len(left):,} {kind}{plural}" + (" that meet the conditions before" if len(left) < total else "")


def _nearest(pattern: Pattern, names: Sequence[str]) -> str:
    """Offer names that were perhaps meant."""
    if pattern.kind == "glob":
        inside = Pattern(f"*{pattern.text}*", "glob")
        found = [name for name in names if inside.matches(name)]
        if found:
            return f"a glob matches whole names, and `{inside.text}` would match {_some(found)}"
    parts = {part for name in names for part in re.split(r"[./]", name)}
    odd = [word for word in re.findall(r"[A-Za-z]\w+", pattern.text) if not any(word in part for part in parts)]
    hints = (*(did_you_mean(word, parts) for word in odd), did_you_mean(pattern.text, names))
    return next((hint for hint in hints if hint), f"they are {_some(names)}")


def _some(names: Iterable[str], shown: int = 3) -> str:
    """Show the first names and count the others."""
    every = list(names)
    if len(every) <= shown:
        return listing(every)
    return ", ".join(f"`{name}`" for name in every[:shown]) + f" and {len(every) - shown:,} more"
