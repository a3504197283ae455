"""The shape search of the MPO: settle bonds for a shape, and compare shapes.

Errors are measured by fitting, since no bound known a priori is tight in the metric of the data. TT-SVD alone screens
the shapes; the few that look best get some sweeps of least squares before they are compared. The fit at compile time
sweeps on from the same start, so it never ends above what is measured here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import log, prod

from qtnc.structures.structure import Problem, Stack, element_budget
from qtnc.tensor.als import polish
from qtnc.tensor.metric import Matrix
from qtnc.tensor.mpo import bonds_of, dense, tt_svd
from qtnc.tensor.sites import (
    Sites,
    balanced,
    candidates,
    clip_bonds,
    full_bonds,
    is_matrix,
    largest_bond,
    parameters,
    uniform_bonds,
)

SWEEPS = 2
"""Sweeps that a shape gets before it is compared."""

FINALISTS = 2
"""Shapes besides low rank that get sweeps at all."""


TAIL = 0.3
"""Share of the asked error at which the search takes the largest bond to be: where errors leave their straight line."""

TINY = 1e-300
"""An error of zero, for its logarithm."""


@dataclass(frozen=True)
class Limits:
    """What the spec asks of an operator; None where it asks nothing."""

    max_bond: int | None = None
    share: float | None = None
    error: float | None = None
    cutoff: float = 0.0


@dataclass(frozen=True)
class Trial:
    """One shape with its bonds, and the relative output error that a fit will not exceed."""

    sites: Sites
    bonds: tuple[int, ...]
    error: float

    @property
    def parameters(self) -> int:
        """Elements of all cores."""
        return parameters(self.sites, self.bonds)


def settle_bonds(problem: Problem | Stack, sites: Sites, limits: Limits) -> Trial:
    """Bonds of one shape.

    ``share`` of the bytes fixes the largest uniform bond, ``error`` the smallest that reaches it, ``cutoff`` drops
    small singular values; ``max_bond`` and ``cutoff`` hold in every case.
    """
    bond = limits.max_bond or max(full_bonds(sites))
    if limits.share is not None:
        bond = max(1, min(bond, largest_bond(sites, element_budget(limits.share, problem.shape))))
    most = uniform_bonds(sites, bond)
    if limits.cutoff:
        cut = (bonds_of(tt_svd(one.weight, sites, most, cutoff=limits.cutoff)[0]) for one in problem.slices)
        most = clip_bonds(sites, tuple(map(max, zip(*cut, strict=True))))

    def capped(bond: int) -> tuple[int, ...]:
        return clip_bonds(sites, tuple(min(bond, b) for b in most))

    @cache
    def error(bond: int) -> float:
        return _error(problem, sites, capped(bond))

    bond = max(most)
    if limits.error is not None:
        bond = _smallest(error, limits.error, bond)
    return Trial(sites, capped(bond), error(bond))


def best_shape(
    problem: Problem | Stack, limits: Limits, seconds: Callable[[Trial], float] | None = None
) -> tuple[Trial, str]:
    """Compare shapes: least bytes at the asked error, else least error at the asked bytes; and say so in words.

    With ``max_bond`` alone the bytes are those of the balanced two-site shape at that bond. Low rank is one of the
    shapes, so the search never loses to an SVD at equal bytes and bond. Given ``seconds``, it is those that are fewest
    at the asked error, of low rank and of the shapes that have fewer bytes.
    """
    if limits.error is not None:
        return _within_error(problem, limits, limits.error, seconds)
    if limits.share is not None:
        budget = element_budget(limits.share, problem.shape)
    else:
        even = balanced(*problem.shape, 2)
        budget = parameters(even, uniform_bonds(even, limits.max_bond or max(full_bonds(even))))
    low_rank, *others = candidates(*problem.shape)
    within = [(sites, _within(sites, budget, limits)) for sites in others]
    finalists = _screen(problem, [(sites, bond) for sites, bond in within if bond])
    bond = max(1, _within(low_rank, budget, limits))
    trials = [settle_bonds(problem, s, Limits(b, cutoff=limits.cutoff)) for s, b in [(low_rank, bond), *finalists]]
    fitting = [t for t in trials if t.parameters <= budget] or trials
    best = min(fitting, key=lambda t: (t.error, t.parameters))
    return best, f"least error of {len(others) + 1} shapes at {budget:,} elements"


def _within_error(
    problem: Problem | Stack, limits: Limits, error: float, seconds: Callable[[Trial], float] | None
) -> tuple[Trial, str]:
    """Low rank sets the mark; the finalists are fitted just below it, and searched on if they still hold the error."""
    low_rank, *others = candidates(*problem.shape)
    best = settle_bonds(problem, low_rank, limits)
    found = [best]
    below = [(sites, _within(sites, best.parameters - 1, limits)) for sites in others]
    for sites, _ in _screen(problem, [(sites, bond) for sites, bond in below if bond]):
        bond = _within(sites, best.parameters - 1, limits)
        # Where low rank falls short of the error, any shape that comes closer is better.
        if bond and _error(problem, sites, uniform_bonds(sites, bond)) <= max(error, best.error):
            trial = settle_bonds(problem, sites, Limits(bond, error=error, cutoff=limits.cutoff))
            # The cutoff may have dropped more than the error allows.
            if trial.error <= max(error, best.error):
                best = trial
                found.append(trial)
    if seconds is None:
        return best, f"fewest bytes of {len(others) + 1} shapes"
    fastest = min((trial for trial in found if trial.error <= max(error, best.error)), key=seconds)
    return fastest, f"fastest by the cost model, of the {len(found)} best of {len(others) + 1} shapes"


def _within(sites: Sites, budget: int, limits: Limits) -> int:
    """Largest bond that both the budget and ``max_bond`` allow; 0 when not even bond 1 fits the budget."""
    bond = largest_bond(sites, budget)
    return min(bond, limits.max_bond or bond)


def _screen(problem: Problem | Stack, shapes: list[tuple[Sites, int]]) -> list[tuple[Sites, int]]:
    """Shapes that look best by TT-SVD alone."""

    def looks(shape: tuple[Sites, int]) -> float:
        sites, bond = shape
        if isinstance(problem, Problem) and not problem.weighted:
            return tt_svd(problem.weight, sites, uniform_bonds(sites, bond))[1]
        return problem.error_of(lambda one: dense(tt_svd(one.weight, sites, uniform_bonds(sites, bond))[0], one.shape))

    return sorted(shapes, key=looks)[:FINALISTS]


def _error(problem: Problem | Stack, sites: Sites, bonds: tuple[int, ...]) -> float:
    """Relative output error that a fit with these bonds will not exceed."""
    if is_matrix(sites) and prod(m for m, _ in sites) == problem.shape[0]:
        return problem.spectrum.error(bonds[0])

    def swept(one: Problem) -> Matrix:
        cores, _ = tt_svd(one.weight, sites, bonds)
        return dense(polish(one.weight, cores, one.covariance, SWEEPS), one.shape)

    return problem.error_of(swept)


def _smallest(error: Callable[[int], float], asked: float, limit: int) -> int:
    """Smallest bond in 1..limit whose error is at most ``asked``, or ``limit``; errors are taken to fall.

    False position on the logarithm of the error, which is nearly straight in the bond; an end that stays counts half
    each time (Illinois). Every step is a fit, and this takes half the steps of bisection.
    """
    (low, above), (high, below) = (0, log(1 / asked)), (limit, log(TAIL))
    moved = ""
    while high - low > 1:
        guess = low + round((high - low) * above / (above - below))
        middle = min(max(guess, low + 1), high - 1)
        distance = log(max(error(middle), TINY) / asked)
        if distance <= 0.0:
            high, below, above, moved = middle, distance, above / (2 if moved == "high" else 1), "high"
        else:
            low, above, below, moved = middle, distance, below / (2 if moved == "low" else 1), "low"
    return high
