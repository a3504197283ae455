"""Circuits on both sides of another structure: ``W ~ C_in^T . K . C_out^T`` with K of that structure.

In the column form of arXiv 2410.17397, y = U M V^T x: V^T is the circuit that x meets first, U the one that y leaves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import prod
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from qtnc.quantum.circuit import Circuit, matrix, qubits_for
from qtnc.quantum.disentangle import disentangle
from qtnc.quantum.gates import Angles
from qtnc.quantum.layout import LAYOUTS, Layers, Layout, layers
from qtnc.structures.options import option
from qtnc.structures.structure import Arrays, MisfitError, Part, Problem, Proposal, Stack, Structure
from qtnc.tensor.memory import available, size
from qtnc.tensor.metric import Matrix
from qtnc.tensor.network import TensorNetwork, X

COPIES, COPIES_A_LAYER = 12, 8
"""Matrices of the registers' size in float64 that a search holds at a time; 19 were measured at depth 1, 43 at 4."""


@dataclass(frozen=True)
class Circuits:
    """Shallow circuits that move correlations out of the way of the inner structure.

    Features are padded with zeros to a register of qubits on each side, and the inner structure spans both registers:
    its padding is stored and counted, as are the circuits' angles. The angles minimise the plain error of the weight;
    the inner structure is then fitted in the metric of the data where data is given.
    """

    name: ClassVar[str] = "circuit"
    op_type: ClassVar[str] = "Circuit"
    wraps: ClassVar[bool] = True

    depth: int = option("count", 4, "layers of gates on each side, before those are dropped that change nothing")
    layout: str = option("word", "brickwall", "which qubits gates join: neighbours, or the two halves", LAYOUTS)
    inner: Structure | None = None
    """What the circuits surround; written after ``|`` in the language."""
    sides: tuple[Layers, Layers] | None = field(default=None, repr=False)
    """Settled layers of gates for the rows and the columns, from the inner structure outwards."""
    start: Structure | None = None
    """The inner structure for which the angles were sought; the one that is fitted was settled after them."""
    angles: tuple[Angles, Angles] | None = field(default=None, repr=False, compare=False)
    """Settled angles of the rows and the columns, in the order of the layers."""

    def check(self) -> str | None:
        """Refuse circuits in circuits: what they surround must have sites."""
        return "circuits surround no circuits; ask for more `depth`" if isinstance(self.inner, Circuits) else None

    @property
    def leaves_choice(self) -> bool:
        """Whether the inner structure leaves something to the planner."""
        return self._inner.leaves_choice

    def propose(self, problem: Problem | Stack) -> Proposal:
        """Place gates around the inner structure's sites, find their angles, settle the inner structure for them."""
        if isinstance(problem, Stack):
            raise MisfitError("circuits surround one matrix, and the weight is a stack of them")
        M, N = problem.shape
        registers = qubits_for(M), qubits_for(N)
        _check_memory(registers, self.depth)
        padded = _padded(problem)
        first = on_register(self._inner, (M, N), padded.shape, angles=0).propose(padded).structure
        sides = self._sides(first, padded.shape)
        angles = 6 * sum(len(layer) for side in sides for layer in side)
        wanted = on_register(self._inner, (M, N), padded.shape, angles)
        found = disentangle(padded.weight, sides, first.project)
        placed = replace(self, inner=first, sides=sides, start=first, angles=(found.inner, found.outer))
        settled = wanted.propose(placed._inside(problem))
        reason = settled.reason if angles else f"{settled.reason}; every gate is gauge: no circuit changes its error"
        return Proposal(replace(placed, inner=settled.structure), settled.predicted_error, reason)

    def parts(self, shape: tuple[int, int]) -> tuple[Part, ...]:
        """Input circuit, the inner structure's parts, output circuit."""
        first, last = self.circuits(shape)
        inside = self._inner.parts((first.features[1], last.features[0]))
        return (Part(self.op_type, first, "input"), *inside, Part(self.op_type, last, "output"))

    def circuits(self, shape: tuple[int, int]) -> tuple[Circuit, Circuit]:
        """Return the circuits that x meets first and last, for a weight (M, N)."""
        if self.sides is None:
            raise ValueError("the circuits are not settled; use what propose() returns")
        (M, N), (rows, columns) = shape, self.sides
        p, q = qubits_for(M), qubits_for(N)
        inwards = tuple(pair for layer in reversed(rows) for pair in layer)
        outwards = tuple(pair for layer in columns for pair in layer)
        return Circuit(p, inwards, (M, 1 << p)), Circuit(q, outwards, (1 << q, N))

    def fit(self, problem: Problem) -> tuple[NDArray[np.float64], ...]:
        """Angles of the input circuit, arrays of the inner structure, angles of the output circuit."""
        first, last = self._angles()
        return (first, *self._inner.fit(self._inside(problem)), last)

    def project(self, weight: NDArray[Any]) -> NDArray[Any]:
        """Turn by the settled circuits, project there, turn back."""
        (first, last), (a, b) = self.circuits(weight.shape), self._angles()
        left, right = matrix(first, a), matrix(last, b)
        return np.asarray(left @ self._inner.project(left.T @ weight @ right.T) @ right).astype(weight.dtype)

    def dense(self, cores: tuple[NDArray[np.float64], ...], shape: tuple[int, int]) -> Matrix:
        """Multiply the three out."""
        first, last = self.circuits(shape)
        inside = self._inner.dense(cores[1:-1], (first.features[1], last.features[0]))
        return np.asarray(matrix(first, cores[0]) @ inside @ matrix(last, cores[-1]))

    def settled(self) -> Mapping[str, Any]:
        """Return the layers as the pairs of qubits they join, and the inner structure's options."""
        rows, columns = self.sides or ((), ())
        gates = {"input": [list(map(list, layer)) for layer in rows], "output": [list(map(list, x)) for x in columns]}
        inner, start = (self._inner.settled(), self.start.settled()) if self.start else (self._inner.settled(), {})
        said = {"depth": self.depth, "layout": self.layout, "layers": gates}
        return {**said, "inner": {"structure": self._inner.name, **inner}, "start": start}

    def kept(self) -> Arrays:
        """Return the angles of the rows and the columns."""
        return self.angles or ()

    def settle(self, settled: Mapping[str, Any], shape: tuple[int, int], kept: Arrays | Problem) -> "Circuits":
        """Place the gates and take the angles, or search for them again."""
        padded = (1 << qubits_for(shape[0]), 1 << qubits_for(shape[1]))
        nothing: Arrays = ()
        start, inner = (self._inner.settle(_part(settled, key), padded, nothing) for key in ("start", "inner"))
        sides = self._sides(start, padded)
        placed = replace(self, inner=inner, sides=sides, start=start)
        if placed.settled() != settled:
            raise MisfitError("the circuits are not those that the spec asks for")
        if isinstance(kept, Problem):
            _check_memory((qubits_for(shape[0]), qubits_for(shape[1])), self.depth)
            found = disentangle(_padded(kept).weight, sides, start.project)
            kept = (found.inner, found.outer)
        return replace(placed, angles=(kept[0], kept[1]))

    def _inside(self, problem: Problem) -> Problem:
        """The problem as it stands between the circuits."""
        (first, last), (a, b) = self.circuits(problem.shape), self._angles()
        left, right = matrix(first, a), matrix(last, b)
        turned = left.T @ problem.weight @ right.T
        return Problem(turned, None if problem.covariance is None else left.T @ problem.covariance @ left)

    def _sides(self, inner: Structure, shape: tuple[int, int]) -> tuple[Layers, Layers]:
        rows, columns = sites_of(inner, shape)
        layout = cast("Layout", self.layout)
        return layers(layout, rows, self.depth), layers(layout, columns, self.depth)

    def _angles(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Angles in the order in which the gates act: on the rows that is from the outermost layer inwards."""
        if self.sides is None or self.angles is None:
            raise ValueError("the angles are not settled; use what propose() returns")
        bounds = np.cumsum([0, *(len(layer) for layer in self.sides[0])])
        inwards = [self.angles[0][a:b] for a, b in pairwise(bounds)][::-1]
        return np.concatenate([np.zeros((0, 6)), *inwards]), self.angles[1]

    @property
    def _inner(self) -> Structure:
        if self.inner is None:
            raise ValueError("circuits surround a structure, and there is none")
        return self.inner


def _padded(problem: Problem) -> Problem:
    """The weight on the registers, without its data."""
    M, N = problem.shape
    rows, columns = (1 << qubits_for(M)) - M, (1 << qubits_for(N)) - N
    return Problem(np.pad(problem.weight, ((0, rows), (0, columns))))


def _part(settled: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = settled.get(key)
    if not isinstance(part, Mapping):
        raise MisfitError(f"circuits have `{key}`")
    return part


def _check_memory(registers: tuple[int, int], depth: int) -> None:
    needed, there = (COPIES + COPIES_A_LAYER * depth) * 8 << sum(registers), available()
    if needed > there:
        found = f"registers of {registers[0]} and {registers[1]} qubits take about {size(needed)} to search"
        raise MisfitError(f"{found}; {size(there)} are available")


def on_register(inner: Structure, shape: tuple[int, int], padded: tuple[int, int], angles: int) -> Structure:
    """Ask the inner structure for what the whole is asked: on the padded register, with the angles in the bytes.

    Raises
    ------
    MisfitError
        If the angles alone are more than the bytes allow.
    """
    adapt = getattr(inner, "on_register", None)
    wanted: Structure = adapt() if callable(adapt) else inner
    share = getattr(wanted, "bytes", None)
    if share is None:
        return wanted
    left = share * prod(shape) - angles
    if left <= 0:
        raise MisfitError(f"{angles:,} angles alone are more than {share:.3g} of the weight's {prod(shape):,} elements")
    return cast("Structure", replace(cast("Any", wanted), bytes=left / prod(padded)))


def sites_of(inner: Structure, shape: tuple[int, int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Site of every qubit of the rows and of the columns, as the cores of the inner network hold them.

    Raises
    ------
    MisfitError
        If a mode is not a power of two, so that no qubits stand for it, or if the modes are more than the registers.
    """
    parts = inner.parts(shape)
    network = parts[0].product
    if len(parts) > 1 or not isinstance(network, TensorNetwork):
        raise MisfitError(f"circuits surround one tensor network; `{inner.name}` is something else")
    rows, columns = _places(network, network.inputs[X]), _places(network, network.output)
    if (1 << len(rows), 1 << len(columns)) != shape:
        spanned, registers = f"{1 << len(rows)}x{1 << len(columns)}", f"{shape[0]}x{shape[1]}"
        raise MisfitError(f"sites span {spanned}; give sites that span the registers of the circuits, {registers}")
    return rows, columns


def _places(network: TensorNetwork, modes: tuple[str, ...]) -> tuple[int, ...]:
    found: list[int] = []
    for mode in modes:
        size = network.size_dict[mode]
        if size & (size - 1):
            raise MisfitError(f"a site of size {size} holds no whole number of qubits; give sites that are powers of 2")
        holder = next(k for k, indices in enumerate(network.inputs[X + 1 :]) if mode in indices)
        found += [holder] * (size.bit_length() - 1)
    return tuple(found)
