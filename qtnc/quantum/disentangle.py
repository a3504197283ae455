"""Find circuits under which a matrix has little entanglement left: ``W ~ C_in^T . K . C_out^T`` with K of small bond.

Variable projection: for given angles the best K is the projection P of ``T = C_in W C_out``, so only the angles are
searched, with ``f = |P(T)|^2`` to be raised and ``df/dT = 2 P(T)``; nothing is differentiated through the truncation
(Golub and Pereyra, SIAM J. Numer. Anal. 10 (1973) 413; the form of W is that of arXiv 2410.17397). Several starts get
a short run of L-BFGS and the best of them a long one; where that ends early in a poor optimum, the evaluations it left
go to the next start. All of it runs on one thread and follows from the seed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from qtnc.quantum.gates import ANGLES, Angles
from qtnc.quantum.layout import Layers

Project = Callable[[NDArray[Any]], NDArray[Any]]
"""Nearest matrix of the inner structure, in the dtype it is given."""

SHORT = 24
"""Evaluations that a start gets before it is compared."""

MEMORY = 50
"""Steps that L-BFGS remembers."""

SMALL = 0.05
"""Relative error below which the search goes on in float64: squares of errors end near 1e-7 in float32."""

SPREAD = 0.1
"""Standard deviation of the angles of the first random start, in radians."""


@dataclass(frozen=True)
class Found:
    """Angles of each side, in the order of the layers it was given, and the relative error that is left."""

    inner: Angles
    outer: Angles
    error: float
    evaluations: int


def disentangle(
    weight: NDArray[np.float64],
    sides: tuple[Layers, Layers],
    project: Project,
    *,
    seed: int = 0,
    evaluations: int = 160,
) -> Found:
    """Search the angles of the circuits on both sides of a matrix.

    Parameters
    ----------
    weight : (2^p, 2^q).
    sides : layers on the p qubits of the rows and on the q qubits of the columns, from the operator outwards.
    project : the inner structure's projection; best approximations make the gradient exact.
    evaluations : of f and its gradient, which the long runs share; the short runs come on top.
    """
    gates = sum(len(layer) for side in sides for layer in side)
    norm = float(np.linalg.norm(weight))
    if gates == 0 or norm == 0.0:
        empty = [np.zeros((sum(map(len, side)), ANGLES)) for side in sides]
        rest = np.linalg.norm(weight - project(weight)) / norm if norm else 0.0
        return Found(empty[0], empty[1], float(rest), 1)
    search = _Search(weight / norm, sides, project)
    best = search.best(_randoms(gates, seed), evaluations)
    if best.distance < SMALL**2:
        best = search.run(best.angles, evaluations, dtype="float64")
    rows = sum(map(len, sides[0]))
    return Found(best.angles[:rows], best.angles[rows:], float(np.sqrt(best.distance)), search.evaluations)


@dataclass(frozen=True, eq=False)
class _Run:
    """Angles (gates, 6), the squared relative distance they leave, and what it took."""

    angles: Angles
    distance: float
    evaluations: int


class _Search:
    """Runs of L-BFGS on one weight of norm 1."""

    def __init__(self, weight: NDArray[np.float64], sides: tuple[Layers, Layers], project: Project) -> None:
        from qtnc.quantum.objective import Objective  # loads torch, which only this search needs

        self.sides, self.evaluations = sides, 0
        self.objective = Objective(weight, project)

    def best(self, randoms: Iterator[Angles], evaluations: int) -> _Run:
        """Compare short runs from the identity, a grown circuit and a random one; spend the evaluations on the best."""
        first = next(randoms)
        runs = [self.run(np.zeros_like(first), SHORT), self.grow(), self.run(first, SHORT)]
        waiting = sorted(runs, key=lambda run: run.distance)
        best = waiting[0]
        while evaluations > 0 and best.distance > SMALL**2:
            start = waiting.pop(0) if waiting else self.run(next(randoms), SHORT)
            found = self.run(start.angles, evaluations)
            best = min(best, found, key=lambda run: run.distance)
            evaluations -= found.evaluations
        return best

    def run(
        self,
        start: Angles,
        evaluations: int,
        sides: tuple[Layers, Layers] | None = None,
        dtype: Literal["float32", "float64"] = "float32",
    ) -> _Run:
        """Minimise the distance from a start, by at most so many evaluations (a line search may end a little later)."""
        layers = sides or self.sides

        def distance(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            self.evaluations += 1
            return self.objective.distance(flat.reshape(-1, ANGLES), layers, dtype)

        # In float32 the distance is known to about 1e-7; smaller steps are noise.
        options = {"maxfun": evaluations, "maxiter": evaluations, "maxcor": MEMORY, "gtol": 1e-12}
        options["ftol"] = 1e-9 if dtype == "float32" else 0.0
        found = minimize(distance, start.ravel(), jac=True, method="L-BFGS-B", options=options)
        return _Run(found.x.reshape(-1, ANGLES), max(0.0, float(found.fun)), int(found.nfev))

    def grow(self) -> _Run:
        """Double the depth from one layer on, each time from the angles so far and identities outside."""
        deepest = max(map(len, self.sides))
        depths = [1]
        while depths[-1] < deepest:
            depths.append(min(2 * depths[-1], deepest))
        halves = [np.zeros((0, ANGLES)), np.zeros((0, ANGLES))]
        for depth in depths:
            shallow = (self.sides[0][:depth], self.sides[1][:depth])
            counts = [sum(map(len, side)) for side in shallow]
            start = [np.pad(h, ((0, size - len(h)), (0, 0))) for h, size in zip(halves, counts, strict=True)]
            found = self.run(np.concatenate(start), SHORT, shallow)
            halves = [found.angles[: counts[0]], found.angles[counts[0] :]]
        return found


def _randoms(gates: int, seed: int) -> Iterator[Angles]:
    """Random circuits without end, the first near the identity, the next further out, then of angles all around."""
    rng = np.random.default_rng(seed)
    for k in count():
        yield rng.normal(scale=min(SPREAD * 3**k, 2.0), size=(gates, ANGLES))
