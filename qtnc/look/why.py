"""Why a layer becomes what it becomes: every statement of a spec that could have concerned it, and what came of it."""

from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

from qtnc.authoring.rewrite import Rewrite, rule_of
from qtnc.errors import Diagnostic, UsageError, did_you_mean, printable
from qtnc.ir.layers import Layer, find_layers
from qtnc.ir.paths import LayerPaths
from qtnc.planner.claim import declined_by
from qtnc.planner.preparing import SHOWN
from qtnc.road.guard import Guarded
from qtnc.rules.building import MADE_BY
from qtnc.rules.driving import Trial
from qtnc.rules.measures import article
from qtnc.rules.rule import Rule
from qtnc.source import Span
from qtnc.spec import program
from qtnc.spec.program import Spec
from qtnc.spec.select import Settled, claims, ignored, settle
from qtnc.spec.why import Doubter
from qtnc.spec.wording import clip


@dataclass(frozen=True)
class Answer:
    """What one statement is to the layer.

    Attributes
    ----------
    statement : where it stands, and its text.
    holds : whether it selects, claims or ignores the layer.
    reason : why not; of a rewrite that claims it, whether it has the last word.
    """

    statement: Span
    holds: bool
    reason: str


@dataclass(frozen=True)
class Why:
    """All answers about one layer, in the order of the spec, and what they come to."""

    layer: Layer
    answers: tuple[Answer, ...]
    outcome: str


def why(model: ir.Model, spec: Spec, name: str) -> Why:
    """Ask every selector, rewrite and ``ignore`` in effect about a layer of a canonical model.

    Raises
    ------
    UsageError
        If the model has no such layer.
    """
    layers = find_layers(model)
    layer = next((x for x in layers if x.name == name), None)
    if layer is None:
        near = did_you_mean(name, [x.name for x in layers]) or (
            "what the spec does to the graph runs before; `qtnc plan` lists the layers that it leaves"
            if spec.rules or spec.uses
            else "`qtnc inspect` lists them"
        )
        raise UsageError(Diagnostic(f"the model has no layer `{printable(name)}`", help=near))
    settled = settle(spec, layers, LayerPaths(model, layers))
    doubter = Doubter(spec.selects, layers, settled.members, settled.ranking)
    rules = claims(spec, settled.chosen).get(name, ())
    found = [*_selects(spec, doubter, layer), *_rewrites(spec, settled, name, rules), *_ignores(spec, settled, name)]
    trial = Trial(model)
    found += [Answer(rule.span, *_rule(rule, trial, layer)) for rule in spec.rules]
    found += _uses(spec, trial, layer)
    found.sort(key=lambda answer: answer.statement.order)
    return Why(layer, tuple(found), _outcome(spec, settled, layer, rules))


def _selects(spec: Spec, doubter: Doubter, layer: Layer) -> Iterator[Answer]:
    for select in spec.selects.values():
        failure = doubter.failure(select.predicate, layer)
        yield Answer(select.span, failure is None, "" if failure is None else str(failure))


def _rewrites(spec: Spec, settled: Settled, name: str, rules: tuple[program.Rewrite, ...]) -> Iterator[Answer]:
    for rewrite in spec.rewrites:
        if rewrite in rules:
            later = f"{rules[0].span.seen_from(rewrite.span)} comes later and wins"
            yield Answer(rewrite.span, True, "it wins" if rewrite is rules[0] else later)
        elif name in settled.chosen[rewrite.selector]:
            yield Answer(rewrite.span, False, "the layer is ignored")
        else:
            yield Answer(rewrite.span, False, f"the layer is not in `{rewrite.selector}`")


def _ignores(spec: Spec, settled: Settled, name: str) -> Iterator[Answer]:
    for ignore in spec.ignores:
        there = name in settled.chosen[ignore.selector]
        yield Answer(ignore.span, there, "" if there else f"the layer is not in `{ignore.selector}`")


def _uses(spec: Spec, trial: Trial, layer: Layer) -> Iterator[Answer]:
    """What the passes of others are to the layer: a rule in Python tells as much as one of the spec."""
    for use in spec.uses:
        for offer, options in use.passes:
            with Guarded(offer, options).watched():
                made = offer.made(options)
                if isinstance(made, Rewrite):
                    holds, reason = _rule(rule_of(made), trial, layer)
                else:
                    holds, reason = False, "no rule, so that nothing tells what it did; `--print-ir-after` shows it"
            yield Answer(use.span, holds, f"pass `{printable(offer.name)}`: {reason}")


def _rule(rule: Rule, trial: Trial, layer: Layer) -> tuple[bool, str]:
    """Whether a rule made the layer, else why it does not apply to it, where it comes nearest to it."""
    if layer.node.metadata_props.get(MADE_BY) == rule.name:
        return True, "it made this layer"
    tried = [trial.attempt(rule, node) for node in _around(layer.node, rule)]
    if not tried:
        roots = " or ".join(map(article, rule.matcher.root_words[:SHOWN]))
        return False, f"neither it nor what reads it is {roots}"
    nearest = max(tried, key=lambda attempt: attempt.met)
    part = f"`{clip(nearest.span.text, 60)}`: " if nearest.span else ""
    return False, f"{part}{nearest.reason}, at node `{printable(nearest.node)}`"


def _around(node: ir.Node, rule: Rule) -> Iterator[ir.Node]:
    """Nodes at which a rule would begin if a node were part of what it looks for."""
    found = nodes = {node: None}
    for _ in range(rule.matcher.reach):
        nodes = {use.node: None for one in nodes for value in one.outputs for use in value.uses()}
        found |= nodes
    return (one for one in found if (one.domain, one.op_type) in rule.matcher.roots)


def _outcome(spec: Spec, settled: Settled, layer: Layer, rules: tuple[program.Rewrite, ...]) -> str:
    if rules:
        reason = declined_by(layer, rules[0])
        stays = f"it stays dense all the same: {reason}"
        return stays if reason else f"`{rules[0].structure.name}` is asked for; `qtnc plan` settles it, or says why not"
    if layer.name in ignored(spec, settled.chosen):
        return "it stays dense: it is ignored"
    return "it stays dense: no rewrite claims it"
