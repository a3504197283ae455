"""Selectors to layers: who is selected, and which rewrite has the last word on a layer."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from qtnc.errors import Diagnostic, InternalError, SpecError
from qtnc.spec import program
from qtnc.spec.explain import explain
from qtnc.spec.facts import LayerFacts
from qtnc.spec.members import Members, holds
from qtnc.spec.rank import TOLD, Ranking
from qtnc.spec.values import RefusedError

Selected = Mapping[str, tuple[str, ...]]
"""Layer names by selector."""


class Paths(Protocol):
    """Paths in the graph of a model, between its layers."""

    def upstream(self, names: frozenset[str]) -> frozenset[str]:
        """Layers from which a path leads to one of these; these may be among them."""
        ...

    def downstream(self, names: frozenset[str]) -> frozenset[str]:
        """Layers to which a path leads from one of these; these may be among them."""
        ...


def select_layers(
    spec: program.Spec, layers: Sequence[LayerFacts], paths: Paths | None = None
) -> dict[str, tuple[str, ...]]:
    """Find the layers of every selector.

    Parameters
    ----------
    spec
        Whose selectors.
    layers
        All that can be selected, in the order of the model.
    paths
        Between them. Without, a spec that asks for any is an error of ours.

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
    settled = settle(spec, layers, paths)
    if settled.errors:
        raise SpecError(*settled.errors)
    return settled.chosen


@dataclass(frozen=True)
class Settled:
    """The selectors of a spec on the layers of a model.

    Attributes
    ----------
    chosen : layer names by selector.
    members : the same, and what is settled inside of selectors.
    ranking : the values that layers were ranked by.
    errors : one for every selector that matches nothing or cannot be settled.
    """

    chosen: dict[str, tuple[str, ...]]
    members: Members
    ranking: Ranking
    errors: tuple[Diagnostic, ...]


def settle(
    spec: program.Spec, layers: Sequence[LayerFacts], paths: Paths | None = None, without: Collection[str] = ()
) -> Settled:
    """Find the layers of every selector but those ``without``, whatever is wrong; see :func:`select_layers`."""
    chosen: dict[str, tuple[str, ...]] = {}
    members = Members.of(layers)
    ranking = Ranking()
    errors: list[Diagnostic] = []
    named, explained = _named(spec), set[str]()
    for name, select in spec.selects.items():
        if name in without:
            continue
        # Backwards, so that what another is made from comes before it.
        for part in reversed(list(program.walk(select.predicate))):
            if isinstance(part, program.Top | program.Reach):
                among = [layer for layer in layers if holds(part.base, layer, members)]
                members.settled[part.span] = frozenset(layer.name for layer in among)
                try:
                    members.settled[part.span] = _settle(part, among, ranking, paths)
                except RefusedError as refused:
                    errors.append(refused.diagnostic)
        chosen[name] = tuple(layer.name for layer in layers if holds(select.predicate, layer, members))
        members.selectors[name] = frozenset(chosen[name])
        if not chosen[name] and name in named:
            # A selector that is empty because an earlier one is would be the same error again.
            if not _selectors(select.predicate) & explained:
                errors.append(explain(select, layers, members))
            explained.add(name)
    return Settled(chosen, members, ranking, tuple(errors))


def _named(spec: program.Spec) -> frozenset[str]:
    """Selectors that must not be empty: those of the spec, and those of recipes that it names."""
    own = [name for name, select in spec.selects.items() if not select.shipped]
    used = [used for name in own for used in _selectors(spec.selects[name].predicate)]
    statements: tuple[program.Rewrite | program.Ignore | program.Emit, ...] = (
        *spec.rewrites,
        *spec.ignores,
        *spec.emits,
    )
    return frozenset([*own, *used, *(s.selector for s in statements if s.selector)])


def _settle(
    part: program.Top | program.Reach, among: Sequence[LayerFacts], ranking: Ranking, paths: Paths | None
) -> frozenset[str]:
    """Names of the layers that ``part`` means, ``among`` being those of its base."""
    if isinstance(part, program.Top):
        return ranking.top(part, among)
    if paths is None:
        raise InternalError(f"`{part.span.text}` is asked of layers without their graph")
    names = frozenset(layer.name for layer in among)
    return (paths.upstream if part.direction == "upstream" else paths.downstream)(names) - names


def decided_by_weights(spec: program.Spec) -> frozenset[str]:
    """Selectors that cannot be settled without reading weights: by themselves, or because of one that they name."""
    found: set[str] = set()
    for name, select in spec.selects.items():
        ranked = any(isinstance(p, program.Top) and p.key not in TOLD for p in program.walk(select.predicate))
        if ranked or _selectors(select.predicate) & found:
            found.add(name)
    return frozenset(found)


def claims(spec: program.Spec, selected: Selected) -> dict[str, tuple[program.Rewrite, ...]]:
    """Find the rewrites that claim each layer, the one that wins first: the last in the text. Ignored layers have none.

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
    left_alone = ignored(spec, selected)
    for rewrite in spec.rewrites:
        for layer in selected[rewrite.selector]:
            if layer not in left_alone:
                found[layer] = (rewrite, *found.get(layer, ()))
    return found


def ignored(spec: program.Spec, selected: Selected) -> dict[str, program.Ignore]:
    """Find the layers that no rewrite claims because the spec says so, each with the first statement that does."""
    backwards = ((layer, ignore) for ignore in reversed(spec.ignores) for layer in selected[ignore.selector])
    return dict(backwards)


def _selectors(predicate: program.Predicate) -> set[str]:
    return {part.selector for part in program.walk(predicate) if isinstance(part, program.InSelector)}
