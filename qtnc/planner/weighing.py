"""What a rule makes of a weight, and how it compares: one unit of work a weight, for all layers that multiply by it."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qtnc.errors import Diagnostic, PluginError, SpecError, printable
from qtnc.ir.layers import Layer
from qtnc.planner.baselines import baselines_of
from qtnc.planner.devices import qiskit_options
from qtnc.planner.plan import Baselines, CircuitCost
from qtnc.planner.pricing import price
from qtnc.rewrite.products import effort, problem_of
from qtnc.spec.program import Rewrite, Spec
from qtnc.structures.breach import breach
from qtnc.structures.structure import MisfitError, Part, Problem, Stack, Structure, parameters_of, stacked, told_apart
from qtnc.work.unit import Outcome, Task
from qtnc.work.work import Work

Metrics = Mapping[tuple[str, str], NDArray[np.float64]]
"""Covariances by data and layer, (M, M), or (S, M, M) for a stack whose matrices read rows of their own."""


@dataclass(frozen=True, eq=False)
class Weighing:
    """Settle what a structure leaves open for one weight, and find what one would do instead.

    ``error`` and ``shots`` are those for which circuits are priced.
    """

    problem: Problem | Stack
    structure: Structure
    error: float
    shots: int

    def run(self) -> Outcome:
        """Propose, compare, price."""
        proposal = self.structure.propose(self.problem)
        if (wrong := breach(proposal, self.problem.shape)) is not None:
            member, said = wrong
            raise PluginError(f"`{member}` of `{self.structure.name}` {said}")
        parts = proposal.structure.parts(self.problem.shape)
        single = self.problem if isinstance(self.problem, Problem) else None
        circuits = price(parts, single, self.error, self.shots) if single else None
        facts = {
            "settled": proposal.structure.settled(),
            "predicted_error": proposal.predicted_error,
            "reason": proposal.reason,
            "baselines": asdict(baselines_of(self.problem, parameters_of(parts))),
            "circuits": asdict(circuits) if circuits else None,
        }
        return Outcome(facts, proposal.structure.kept())


@dataclass(frozen=True, eq=False)
class Found:
    """A settled structure for one weight, and what it is compared with."""

    structure: Structure
    predicted_error: float
    reason: str
    covariance: NDArray[np.float64] | None
    parts: tuple[Part, ...]
    baselines: Baselines | None
    circuits: CircuitCost | None

    @property
    def parameters(self) -> int:
        """Stored numbers, padding and angles included."""
        return parameters_of(self.parts)


def weigh(
    spec: Spec, claimed: Sequence[tuple[Layer, Rewrite]], metrics: Metrics, work: Work
) -> Mapping[Hashable, Found]:
    """What the rules propose for the weights of their layers, by :func:`pool_of`.

    Raises
    ------
    SpecError
        If the options of a rule do not fit a weight.
    PassError
        If a weight holds NaN or infinity.
    PluginError
        If parts of a structure share a role, or it hands over what is no structure's.
    """
    terms = qiskit_options(spec)
    first: dict[Hashable, tuple[Layer, Rewrite]] = {}
    for layer, rule in claimed:
        first.setdefault(pool_of(layer, rule), (layer, rule))

    def unit(layer: Layer, rule: Rewrite) -> Callable[[], Weighing]:
        covariance = covariance_of(layer, rule, metrics)
        rows = layer.rows(spec.binds) if spec.optimize == "latency" else None

        def made() -> Weighing:
            problem = replace(problem_of(layer, covariance), rows=rows)
            return Weighing(problem, rule.structure, terms.error, terms.shots)

        return made

    outcomes = work.run("plan", [Task(x.name, effort(x), unit(x, rule)) for x, rule in first.values()])
    found: dict[Hashable, Found] = {}
    for pool, (layer, rule) in first.items():
        try:
            outcome = next(outcomes)
        except MisfitError as error:
            raise SpecError(Diagnostic(f"layer `{layer.name}`: {error}", span=rule.span)) from error
        except PluginError as error:
            way_out = "whoever wrote it finds this with `qtnc.testing.check_structure`"
            told = (Diagnostic(f"layer `{layer.name}`: {d.message}", rule.span, way_out) for d in error.diagnostics)
            raise PluginError(*told) from error
        found[pool] = _found(outcome, layer, rule, covariance_of(layer, rule, metrics))
    return found


def _found(outcome: Outcome, layer: Layer, rule: Rewrite, covariance: NDArray[np.float64] | None) -> Found:
    facts = outcome.facts
    structure = rule.structure.settle(facts["settled"], layer.matrix_shape, outcome.arrays)
    parts = structure.parts(layer.matrix_shape)
    if not told_apart(parts):
        shown = ", ".join(f"`{printable(part.role)}`" for part in parts[:4])
        wrong = f"layer `{layer.name}`: parts of `{rule.structure.name}` have the roles {shown}"
        way_out = "whoever wrote it gives each `Part` a role of its own, and one of them none"
        raise PluginError(Diagnostic(wrong, span=rule.span, help=way_out))
    return Found(
        structure,
        facts["predicted_error"],
        facts["reason"],
        covariance,
        stacked(parts, layer.stack),
        Baselines(**facts["baselines"]),
        CircuitCost(**facts["circuits"]) if facts["circuits"] else None,
    )


def covariance_of(layer: Layer, rule: Rewrite, metrics: Metrics) -> NDArray[np.float64] | None:
    """Covariance of what enters a layer, where its rule names data."""
    return metrics[rule.data, layer.name] if rule.data else None


def pool_of(layer: Layer, rule: Rewrite) -> Hashable:
    """The same for layers that one rule claims and whose weight is one: they are decided and fitted together."""
    return layer.key, rule.span
