"""The shape search of the MPO: settle bonds for a shape, and compare shapes.

Errors are measured by fitting, since no bound known a priori is tight in the metric of the data. A few sweeps
serve to rank shapes; the fit at compile time sweeps on from the same start, so it never ends above them.
"""

from collections.abc import Callable
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


def error_of(problem: Problem, sites: Sites, bonds: tuple[int, ...]) -> float:
    """Relative output error that a fit with these bonds will not exceed."""
    if is_matrix(sites) and prod(m for m, _ in sites) == problem.shape[0]:
        return problem.spectrum.error(bonds[0])
    cores, _ = tt_svd(problem.weight, sites, bonds)
    return problem.error(dense(polish(problem.weight, cores, problem.covariance, SWEEPS), problem.shape))


def settle_bonds(
    problem: Problem,
    sites: Sites,
    max_bond: int | None,
    share: float | None,
    error: float | None,
    cutoff: float,
) -> tuple[tuple[int, ...], float]:
    """Bonds of one shape, and the error a fit with them will not exceed.

    ``share`` of the bytes fixes the largest uniform bond, ``error`` the smallest that reaches it, ``cutoff`` drops
    small singular values; ``max_bond`` holds in every case.
    """
    limit = max_bond or max(full_bonds(sites))
    if share is not None:
        limit = max(1, min(limit, largest_bond(sites, element_budget(share, problem.shape))))
    bonds = uniform_bonds(sites, limit)
    if cutoff:
        bonds = bonds_of(tt_svd(problem.weight, sites, bonds, cutoff=cutoff)[0])
    if error is not None:
        limit = max(bonds)
        best = _smallest(lambda bond: error_of(problem, sites, uniform_bonds(sites, bond)) <= error, limit)
        bonds = uniform_bonds(sites, best)
    return bonds, error_of(problem, sites, bonds)


def best_shape(
    problem: Problem, max_bond: int | None, share: float | None, error: float | None, cutoff: float
) -> tuple[Sites, tuple[int, ...], float, str]:
    """Compare shapes: least bytes at the asked error, else least error at the asked bytes.

    With ``max_bond`` alone the bytes are those of the balanced two-site shape at that bond. Low rank is one of the
    shapes, so the search never loses to an SVD at equal bytes.
    """
    if error is not None:
        return _cheapest_shape(problem, max_bond, error, cutoff)
    shapes = candidates(*problem.shape)
    if share is None:
        even = balanced(*problem.shape, 2)
        budget = parameters(even, uniform_bonds(even, max_bond or max(full_bonds(even))))
    else:
        budget = element_budget(share, problem.shape)
    trials = []
    for sites in shapes:
        bond = largest_bond(sites, budget)
        if bond:
            bonds, found = settle_bonds(problem, sites, bond, None, None, cutoff)
            trials.append((sites, bonds, found))
    if not trials:
        sites = shapes[0]
        bonds, found = settle_bonds(problem, sites, 1, None, None, 0.0)
        return sites, bonds, found, "smallest there is; the budget admits no bond"
    sites, bonds, found = min(trials, key=lambda t: (t[2], parameters(t[0], t[1])))
    return sites, bonds, found, f"least error of {len(trials)} shapes at {budget:,} elements"


def _cheapest_shape(
    problem: Problem, max_bond: int | None, error: float, cutoff: float
) -> tuple[Sites, tuple[int, ...], float, str]:
    """Fewest bytes at the asked error: the first shape sets the mark, the others are fitted just below it.

    Only a shape that still holds the error with fewer elements than the best so far is searched further.
    """
    first, *others = candidates(*problem.shape)
    sites, (bonds, found) = first, settle_bonds(problem, first, max_bond, None, error, cutoff)
    for shape in others:
        bond = min(largest_bond(shape, parameters(sites, bonds) - 1), max_bond or max(full_bonds(shape)))
        # Where the first shape falls short, any shape that comes closer is better.
        if bond and error_of(problem, shape, uniform_bonds(shape, bond)) <= max(error, found):
            sites, (bonds, found) = shape, settle_bonds(problem, shape, bond, None, error, cutoff)
    return sites, bonds, found, f"fewest bytes of {len(others) + 1} shapes"


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
