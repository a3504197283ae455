"""What every structure offers: a proposal at plan time, stored arrays at compile time, the parts they belong to."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import repeat
from math import sqrt
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from qtnc.quantum.circuit import Circuit
from qtnc.tensor.lowrank import Spectrum, Values, nearest, project, spectrum
from qtnc.tensor.metric import Matrix, norm, relative_error
from qtnc.tensor.network import TensorNetwork

Arrays = tuple[NDArray[np.float64], ...]


@dataclass(frozen=True, eq=False)
class Problem:
    """One weight to approximate: ``weight`` (M, N) in float64, ``covariance`` (M, M) of its inputs or None.

    ``rows`` of x, where what is fastest at so many goes before what is smallest; None where size counts.
    """

    weight: Matrix
    covariance: Matrix | None = None
    rows: int | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(M, N)."""
        return self.weight.shape[0], self.weight.shape[1]

    @property
    def stack(self) -> tuple[int, ...]:
        """Sizes of the axes of a stack; here there are none."""
        return ()

    @property
    def weighted(self) -> bool:
        """Whether errors are weighed by data."""
        return self.covariance is not None

    @cached_property
    def spectrum(self) -> Spectrum:
        """Singular values in the metric of the data."""
        return spectrum(self.weight, self.covariance)

    def low_rank(self, rank: int) -> tuple[Matrix, Matrix]:
        """Factors (M, rank) and (rank, N) of the nearest matrix of a rank, from the spectrum where it is known."""
        if rank not in self._low_rank:
            known = "spectrum" in self.__dict__
            self._low_rank[rank] = (
                project(self.weight, self.spectrum, rank) if known else nearest(self.weight, rank, self.covariance)
            )
        return self._low_rank[rank]

    def of_rank(self, rank: int) -> Matrix:
        """The nearest matrix of a rank, (M, N)."""
        a, b = self.low_rank(rank)
        return np.asarray(a @ b)

    @cached_property
    def _low_rank(self) -> dict[int, tuple[Matrix, Matrix]]:
        return {}

    def error(self, approximation: Matrix) -> float:
        """Relative output error of an approximation (M, N)."""
        return relative_error(self.weight, approximation, self.covariance)

    @property
    def slices(self) -> Iterator["Problem"]:
        """The problem itself; a stack has several."""
        yield self

    def error_of(self, approximate: Callable[["Problem"], Matrix]) -> float:
        """Relative output error of what is made of the weight."""
        return self.error(approximate(self))


@dataclass(frozen=True, eq=False)
class Stack:
    """Weights of one shape to approximate alike: the same sites and bonds, each by numbers of its own.

    Attributes
    ----------
    weights : (S, M, N), in the type in which they are stored.
    covariances : (S, M, M) where each matrix has rows of its own, (M, M) where all read the same, or None.
    rows : as for a :class:`Problem`, over all matrices.
    """

    weights: NDArray[Any]
    covariances: Matrix | None = None
    rows: int | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(M, N) of each."""
        return self.weights.shape[1], self.weights.shape[2]

    @property
    def stack(self) -> tuple[int, ...]:
        """How many there are."""
        return (len(self.weights),)

    @property
    def weighted(self) -> bool:
        """Whether errors are weighed by data."""
        return self.covariances is not None

    @property
    def slices(self) -> Iterator[Problem]:
        """One problem a matrix, made as it is asked for: the stack may be large."""
        size = self.shape[0]
        metric = self.covariances
        metrics = repeat(None) if metric is None else np.broadcast_to(metric, (len(self.weights), size, size))
        for weight, covariance in zip(self.weights, metrics):  # noqa: B905 - None is repeated without end
            yield Problem(weight.astype(np.float64), covariance)

    @cached_property
    def spectrum(self) -> Values:
        """Values whose squares are sums over the stack: what a rank loses of all matrices together."""
        return Values(np.sqrt(sum(one.spectrum.values**2 for one in self.slices)))

    def error_of(self, approximate: Callable[[Problem], Matrix]) -> float:
        """Relative output error over all matrices: ``sqrt(sum |X_s (W_s - W'_s)|^2 / sum |X_s W_s|^2)``."""
        lost = kept = 0.0
        for one in self.slices:
            lost += norm(one.weight - approximate(one), one.covariance) ** 2
            kept += norm(one.weight, one.covariance) ** 2
        if kept == 0.0:
            return 0.0 if lost == 0.0 else float("inf")
        return sqrt(lost / kept)


@dataclass(frozen=True)
class Proposal:
    """What a structure would do to one weight.

    Attributes
    ----------
    structure : the structure with nothing left to choose.
    predicted_error : relative output error that ``fit`` will not exceed (up to rounding).
    reason : why these sites and bonds, in a few words.
    """

    structure: "Structure"
    predicted_error: float
    reason: str


@dataclass(frozen=True)
class Part:
    """One factor of what stands for a weight; x goes through the parts in turn.

    Attributes
    ----------
    op_type : operator of the ``qtn`` dialect.
    product : what it computes, and the shapes of what it stores.
    role : what tells it from the other parts of its layer; "" for the one that bears the layer's name.
    """

    op_type: str
    product: TensorNetwork | Circuit
    role: str = ""


class MisfitError(ValueError):
    """The options of a structure do not fit the weight."""


class Structure(Protocol):
    """A family of approximations. Its dataclass fields made by ``option`` are its options in the language."""

    name: ClassVar[str]

    def check(self) -> str | None:
        """Why these options cannot stand together, or None."""
        ...

    @property
    def leaves_choice(self) -> bool:
        """Whether the planner chooses bonds or sites, rather than the spec."""
        ...

    def propose(self, problem: Problem | Stack) -> Proposal:
        """Settle everything that is left open; a stack is proposed only to structures whose class says ``stacks``.

        Raises
        ------
        MisfitError
            If the options do not fit the weight.
        """
        ...

    def parts(self, shape: tuple[int, int]) -> tuple[Part, ...]:
        """Return the factors of the settled structure for a weight (M, N)."""
        ...

    def fit(self, problem: Problem) -> Arrays:
        """Stored arrays of the settled structure, those of each part in turn."""
        ...

    def project(self, weight: NDArray[Any]) -> NDArray[Any]:
        """Matrix (M, N) near the weight that the settled structure can hold, plain and fast, in the weight's dtype."""
        ...

    def dense(self, cores: tuple[NDArray[np.float64], ...], shape: tuple[int, int]) -> Matrix:
        """Matrix (M, N) that the cores stand for."""
        ...

    def settled(self) -> Mapping[str, Any]:
        """Options of the settled structure as plan.json writes them."""
        ...

    def kept(self) -> Arrays:
        """Arrays that settling found beside ``settled()``; none for most."""
        ...

    def settle(self, settled: Mapping[str, Any], shape: tuple[int, int], kept: Arrays | Problem) -> "Structure":
        """Return the settled structure, for a weight (M, N), of which this is said.

        ``kept`` is what ``kept()`` was, or the problem in which to find it again: the search follows from the weight.

        Raises
        ------
        MisfitError
            If it is no settled structure of this kind, or does not fit the weight.
        """
        ...


def told_apart(parts: tuple[Part, ...]) -> bool:
    """Whether each part has a role of its own, and one of them none: names of nodes and cores hang on it."""
    roles = [part.role for part in parts]
    return len({*roles}) == len(roles) and "" in roles


def whole_numbers(value: Any, count: int | None = None) -> tuple[int, ...]:
    """A list of positive whole numbers as a file holds it, of some length.

    Raises
    ------
    MisfitError
        If it is anything else.
    """
    rows = value if isinstance(value, list | tuple) else ()
    good = all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in rows)
    if not rows or not good or count not in (None, len(rows)):
        raise MisfitError(f"{str(value)[:40]} where {count or 'a list of'} positive whole numbers belong")
    return tuple(rows)


def element_budget(share: float, shape: tuple[int, int]) -> int:
    """Elements that a share of the original weight's bytes buys, cores being stored in the weight's own dtype."""
    # A percentage is not exact in binary: 29 % of 100 elements is 29 elements, not 28.999...
    return int(share * shape[0] * shape[1] * (1.0 + 1e-12))


def stacked(parts: tuple[Part, ...], stack: tuple[int, ...]) -> tuple[Part, ...]:
    """Parts for each matrix of a stack; what is no network stands for one matrix alone."""
    if not stack:
        return parts
    networks = [(part, part.product) for part in parts if isinstance(part.product, TensorNetwork)]
    if len(networks) != len(parts):
        raise ValueError("circuits are not stacked")
    return tuple(replace(part, product=replace(network, stack=stack)) for part, network in networks)


def parameters_of(parts: tuple[Part, ...]) -> int:
    """Stored numbers of all parts, padding and angles included."""
    return sum(part.product.parameters for part in parts)
