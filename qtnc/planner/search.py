"""What a rule makes of a weight, searched for once for all layers that multiply by it."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from qtnc.errors import Diagnostic, SpecError
from qtnc.ir.layers import Layer
from qtnc.planner.baselines import baselines_of
from qtnc.planner.devices import qiskit_options
from qtnc.planner.plan import Baselines, CircuitCost
from qtnc.planner.pricing import price
from qtnc.rewrite.products import problem_of
from qtnc.spec.program import Rewrite, Spec
from qtnc.structures.structure import MisfitError, Part, Problem, Proposal, parameters_of, stacked
from qtnc.tensor.threads import one_thread

Metrics = Mapping[tuple[str, str], NDArray[np.float64]]
"""Covariances by data and layer, (M, M), or (S, M, M) for a stack whose matrices read rows of their own."""


@dataclass(frozen=True, eq=False)
class Found:
    """A proposal for one weight, with what it stores and what it is compared with."""

    proposal: Proposal
    covariance: NDArray[np.float64] | None
    parts: tuple[Part, ...]
    parameters: int
    baselines: Baselines
    circuits: CircuitCost | None


@dataclass
class Search:
    """One plan's searches, and the first layer that was rewritten for each."""

    spec: Spec
    metrics: Metrics
    first: dict[Hashable, str] = field(default_factory=dict)
    _found: dict[Hashable, Found] = field(default_factory=dict)

    def found(self, layer: Layer, rule: Rewrite) -> Found:
        """What the rule proposes for the weight of a layer.

        Raises
        ------
        SpecError
            If the options of the rule do not fit the weight.
        """
        key = pool_of(layer, rule)
        if key not in self._found:
            self._found[key] = self._search(layer, rule)
        return self._found[key]

    def _search(self, layer: Layer, rule: Rewrite) -> Found:
        covariance = self.metrics.get((rule.data, layer.name)) if rule.data else None
        problem, terms = problem_of(layer, covariance), qiskit_options(self.spec)
        with one_thread():
            try:
                proposal = rule.structure.propose(problem)
            except MisfitError as error:
                raise SpecError(Diagnostic(f"layer `{layer.name}`: {error}", span=rule.span)) from error
            single = proposal.structure.parts(problem.shape)
            baselines = baselines_of(problem, parameters_of(single))
        circuits = price(single, problem, terms.error, terms.shots) if isinstance(problem, Problem) else None
        parts = stacked(single, layer.stack)
        return Found(proposal, covariance, parts, parameters_of(parts), baselines, circuits)


def pool_of(layer: Layer, rule: Rewrite) -> Hashable:
    """The same for layers that one rule claims and whose weight is one: they are decided and fitted together."""
    return layer.key, rule.span
