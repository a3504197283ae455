"""The shape search of the MPO: settle bonds for a shape, and compare shapes.

Errors are measured by fitting, since no bound known a priori is tight in the metric of the data. TT-SVD alone screens
the shapes; the few that look best get some sweeps of least squares before they are compared. The fit at compile time
sweeps on from the same start, so it never ends above what is measured here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from qtnc.structures.structure import Problem, element_budget
from qtnc.tensor.als import polish
from qtnc.tensor.mpo import bonds_of, dense, tt_svd
from qtnc.tensor.sites import (
    Sites,
    balanced,
    candidates,
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


def settle_bonds(problem: Problem, sites: Sites, limits: Limits) -> Trial:
    """Bonds of one shape.

    ``share`` of the bytes fixes the largest uniform bond, ``error`` the smallest that reaches it, ``cutoff`` drops
    small singular values; ``max_bond`` holds in every case.
    """
    bond = limits.max_bond or max(full_bonds(sites))
    if limits.share is not None:
        bond = max(1, min(bond, largest_bond(sites, element_budget(limits.share, problem.shape))))
    bonds = uniform_bonds(sites, bond)
    if limits.cutoff:
        bonds = bonds_of(tt_svd(problem.weight, sites, bonds, cutoff=limits.cutoff)[0])
    if (asked := limits.error) is not None:
        best = _smallest(lambda bond: _error(problem, sites, uniform_bonds(sites, bond)) <= asked, max(bonds))
        bonds = uniform_bonds(sites, best)
    return Trial(sites, bonds, _error(problem, sites, bonds))


def best_shape(problem: Problem, limits: Limits) -> tuple[Trial, str]:
    """Compare shapes: least bytes at the asked error, else least error at the asked bytes; and say so in words.

    With ``max_bond`` alone the bytes are those of the balanced two-site shape at that bond. Low rank is one of the
    shapes, so the search never loses to an SVD at equal bytes.
    """
    if limits.error is not None:
        return _fewest_bytes(problem, limits, limits.error)
    if limits.share is not None:
        budget = element_budget(limits.share, problem.shape)
    else:
        even = balanced(*problem.shape, 2)
        budget = parameters(even, uniform_bonds(even, limits.max_bond or max(full_bonds(even))))
    low_rank, *others = candidates(*problem.shape)
    within = [(sites, largest_bond(sites, budget)) for sites in others]
    finalists = _screen(problem, [(sites, bond) for sites, bond in within if bond])
    bond = max(1, largest_bond(low_rank, budget))
    trials = [settle_bonds(problem, s, Limits(b, cutoff=limits.cutoff)) for s, b in [(low_rank, bond), *finalists]]
    fitting = [t for t in trials if t.parameters <= budget] or trials
    best = min(fitting, key=lambda t: (t.error, t.parameters))
    return best, f"least error of {len(others) + 1} shapes at {budget:,} elements"


def _fewest_bytes(problem: Problem, limits: Limits, error: float) -> tuple[Trial, str]:
    """Low rank sets the mark; the finalists are fitted just below it, and searched on if they still hold the error."""
    low_rank, *others = candidates(*problem.shape)
    best = settle_bonds(problem, low_rank, limits)
    below = [(sites, largest_bond(sites, best.parameters - 1)) for sites in others]
    capped = [(sites, min(bond, limits.max_bond or bond)) for sites, bond in below if bond]
    for sites, _ in _screen(problem, capped):
        bond = min(largest_bond(sites, best.parameters - 1), limits.max_bond or max(full_bonds(sites)))
        # Where low rank falls short of the error, any shape that comes closer is better.
        if bond and _error(problem, sites, uniform_bonds(sites, bond)) <= max(error, best.error):
            best = settle_bonds(problem, sites, Limits(bond, error=error, cutoff=limits.cutoff))
    return best, f"fewest bytes of {len(others) + 1} shapes"


def _screen(problem: Problem, shapes: list[tuple[Sites, int]]) -> list[tuple[Sites, int]]:
    """Shapes that look best by TT-SVD alone."""

    def looks(shape: tuple[Sites, int]) -> float:
        sites, bond = shape
        cores, _ = tt_svd(problem.weight, sites, uniform_bonds(sites, bond))
        return problem.error(dense(cores, problem.shape))

    return sorted(shapes, key=looks)[:FINALISTS]


def _error(problem: Problem, sites: Sites, bonds: tuple[int, ...]) -> float:
    """Relative output error that a fit with these bonds will not exceed."""
    if is_matrix(sites) and prod(m for m, _ in sites) == problem.shape[0]:
        return problem.spectrum.error(bonds[0])
    cores, _ = tt_svd(problem.weight, sites, bonds)
    return problem.error(dense(polish(problem.weight, cores, problem.covariance, SWEEPS), problem.shape))


def _smallest(holds: Callable[[int], bool], limit: int) -> int:
    """Smallest bond in 1..limit for which ``holds`` is true, or ``limit``; truth is taken to be monotone."""
    low, high = 1, limit
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low
