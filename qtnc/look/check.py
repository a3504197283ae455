"""A spec against a model without numerics: what every selector selects, what every rewrite claims."""

from collections.abc import Mapping
from dataclasses import dataclass

import onnx_ir as ir

from qtnc.errors import Diagnostic, SpecError, printable
from qtnc.ir.layers import find_layers
from qtnc.ir.paths import LayerPaths
from qtnc.look.examples import Shown
from qtnc.planner.plan import RuleDone
from qtnc.spec.program import Rewrite, Spec
from qtnc.spec.select import decided_by_weights, settle


@dataclass(frozen=True)
class Checked:
    """A spec without mistakes, on a model.

    Attributes
    ----------
    layers : how many the model has.
    selected : layer names by selector; None where weights decide, which only a plan reads.
    rewrites : those in effect, each with the layers that its selector has, by the same rule.
    untouched : layers in no selector of a rewrite; None where weights decide.
    """

    layers: int
    selected: Mapping[str, tuple[str, ...] | None]
    rewrites: tuple[tuple[Rewrite, tuple[str, ...] | None], ...]
    untouched: int | None


@dataclass(frozen=True)
class SpecCheck:
    """A spec in which no mistake was found.

    Attributes
    ----------
    examples : those of its rules, carried out.
    checked : what it selects of a model, where one was given; ``rules`` what became of its rules there, and ``notes``
        what a compile would refuse.
    """

    spec: Spec
    examples: tuple[Shown, ...]
    checked: Checked | None = None
    rules: tuple[RuleDone, ...] = ()
    notes: tuple[str, ...] = ()


def check_spec(model: ir.Model, spec: Spec) -> Checked:
    """Find the layers of every selector of a canonical model that needs no weights.

    Raises
    ------
    SpecError
        With a diagnostic for every selector that matches nothing.
    """
    layers = find_layers(model)
    open_ones = decided_by_weights(spec)
    settled = settle(spec, layers, LayerPaths(model, layers), without=open_ones)
    if settled.errors:
        raise SpecError(*settled.errors)
    selected = {name: settled.chosen.get(name) for name in spec.selects}
    rewrites = tuple((rewrite, selected[rewrite.selector]) for rewrite in spec.rewrites)
    touched = {name for _, names in rewrites for name in names or ()}
    return Checked(len(layers), selected, rewrites, _rest(len(layers), touched, rewrites))


def not_run(spec: Spec) -> tuple[Diagnostic, ...]:
    """What to say of the files that a check left alone."""
    way_out = "what it offers, and what it makes of the model, is not known; --python runs it"
    return tuple(Diagnostic(f"`{printable(use.name)}` is not run", use.span, way_out) for use in spec.uses if use.left)


def _rest(layers: int, touched: set[str], rewrites: tuple[tuple[Rewrite, tuple[str, ...] | None], ...]) -> int | None:
    return None if any(names is None for _, names in rewrites) else layers - len(touched)
