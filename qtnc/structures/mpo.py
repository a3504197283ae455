"""Matrix product operator: W as a chain of cores, one per site."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any, ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray

from qtnc.structures.cost import choose_order, seconds_of
from qtnc.structures.mpo_search import Limits, Trial, best_shape, settle_bonds
from qtnc.structures.options import option
from qtnc.structures.structure import Arrays, MisfitError, Part, Problem, Proposal, Stack, whole_numbers
from qtnc.tensor.als import polish
from qtnc.tensor.metric import Matrix
from qtnc.tensor.mpo import balance, dense, tt_svd
from qtnc.tensor.network import TensorNetwork
from qtnc.tensor.sites import Sites, balanced, clip_bonds, features, is_matrix
from qtnc.tensor.truncate import truncated

SWEEPS = 6

MOST_SITES: Final = 64
"""More than the sides of any matrix can be halved."""


@dataclass(frozen=True)
class Mpo:
    """Chain of cores ``(r_{k-1}, m_k, n_k, r_k)`` with ``prod m_k >= M`` and ``prod n_k >= N``.

    Fitted by TT-SVD and polished by alternating least squares, in the metric of the data where data is given. Sizes
    that do not factor are padded with zeros; the padding is stored and counted.
    """

    name: ClassVar[str] = "mpo"
    op_type: ClassVar[str] = "MPO"
    stacks: ClassVar[bool] = True

    sites: Literal["auto"] | int | Sites = option("sites", "auto", "the shape: auto, a number of sites, or [MxN, ...]")
    max_bond: int | None = option("count", None, "largest bond")
    cutoff: float | None = option("number", None, "drop singular values below this share of the largest")
    bytes: float | None = option("fraction", None, "largest share of the original weight's bytes")
    error: float | None = option("fraction", None, "largest relative error of the layer's output")
    bonds: tuple[int, ...] | None = None
    """Settled bonds, written by ``propose``; not an option of the language."""

    def check(self) -> str | None:
        """``bytes`` and ``error`` pull in opposite directions; a shape has two sites or more."""
        if self.bytes is not None and self.error is not None:
            return "give one of `bytes` and `error`, not 2"
        if isinstance(self.sites, int) and self.sites < 2:
            return "an MPO has at least 2 sites; one site is the dense weight"
        if not isinstance(self.sites, str) and _count(self.sites) > MOST_SITES:
            return f"an MPO has at most {MOST_SITES} sites; each halves a side at least"
        if isinstance(self.sites, tuple) and len(self.sites) < 2:
            return "an MPO has at least 2 sites; one site is the dense weight"
        if self.sites == "auto" and self.max_bond is None and self.bytes is None and self.error is None:
            return "`sites: auto` needs `max_bond`, `bytes` or `error` to compare shapes at"
        return None

    @property
    def leaves_choice(self) -> bool:
        """Whether sites or bonds follow from the search, bytes or error."""
        return self.sites == "auto" or self.bytes is not None or self.error is not None

    def propose(self, problem: Problem | Stack) -> Proposal:
        """Settle sites and bonds."""
        limits = Limits(self.max_bond, self.bytes, self.error, self.cutoff or 0.0)
        if self.sites == "auto":
            trial, reason = best_shape(problem, limits, self._seconds(problem))
        else:
            sites = balanced(*problem.shape, self.sites) if isinstance(self.sites, int) else self._fitting(problem)
            trial, reason = settle_bonds(problem, sites, limits), "sites as asked"
        return Proposal(Mpo(sites=trial.sites, bonds=trial.bonds), trial.error, reason)

    def parts(self, shape: tuple[int, int]) -> tuple[Part, ...]:
        """Return the one network."""
        return (Part(self.op_type, self.network(shape)),)

    def network(self, shape: tuple[int, int]) -> TensorNetwork:
        """Return ``m0 m1, m0 n0 r1, r1 m1 n1 -> n0 n1``; outer bonds and modes of size 1 are left out."""
        sites, bonds = self._settled()
        x = _modes("m", [m for m, _ in sites])
        y = _modes("n", [n for _, n in sites])
        chain = [f"r{k}" for k in range(1, len(sites))]
        sizes = {f"m{k}": m for k, (m, _) in enumerate(sites)} | {f"n{k}": n for k, (_, n) in enumerate(sites)}
        sizes |= dict(zip(chain, bonds, strict=True))
        cores = [
            (*chain[max(k, 1) - 1 : k], *(i for i in (f"m{k}", f"n{k}") if i in x + y), *chain[k : k + 1])
            for k in range(len(sites))
        ]
        return TensorNetwork((x, *cores), y, {i: sizes[i] for i in (*x, *y, *chain)}, shape)

    def fit(self, problem: Problem) -> tuple[NDArray[np.float64], ...]:
        """Cores of the settled shape, as ``network`` writes them."""
        sites, bonds = self._settled()
        if is_matrix(sites) and prod(m for m, _ in sites) == problem.shape[0]:
            cores: tuple[NDArray[np.float64], ...] = problem.low_rank(bonds[0])
        else:
            start, _ = tt_svd(problem.weight, sites, bonds)
            cores = balance(polish(problem.weight, start, problem.covariance, SWEEPS))
        shapes = self.network(problem.shape).core_shapes
        return tuple(core.reshape(shape) for core, shape in zip(cores, shapes, strict=True))

    def dense(self, cores: tuple[NDArray[np.float64], ...], shape: tuple[int, int]) -> Matrix:
        """Contract the chain."""
        sites, bonds = self._settled()
        ends = (1, *bonds, 1)
        full = (c.reshape(ends[k], *sites[k], ends[k + 1]) for k, c in enumerate(cores))
        return dense(tuple(full), shape)

    def project(self, weight: NDArray[Any]) -> NDArray[Any]:
        """Truncate by TT-SVD; a weight that the sites only hold with padding is padded."""
        sites, bonds = self._settled()
        rows, columns = features(sites)
        M, N = weight.shape
        return truncated(np.pad(weight, ((0, rows - M), (0, columns - N))), sites, bonds)[:M, :N]

    def on_register(self) -> "Mpo":
        """The operator with sites that a circuit can act across: two even ones where the search is left open.

        The search would compare with low rank, whose shape no circuit can change.
        """
        return replace(self, sites=2) if self.sites == "auto" else self

    def settled(self) -> Mapping[str, Any]:
        """Return sites and bonds."""
        sites, bonds = self._settled()
        return {"sites": [list(site) for site in sites], "bonds": list(bonds)}

    def kept(self) -> Arrays:
        """Return nothing: sites and bonds say all."""
        return ()

    def settle(self, settled: Mapping[str, Any], shape: tuple[int, int], kept: Arrays | Problem) -> "Mpo":
        """Take sites and bonds."""
        said = settled.get("sites")
        if not isinstance(said, list | tuple) or len(said) < 2:
            raise MisfitError("an MPO has a list of at least 2 sites")
        sites = tuple((m, n) for m, n in (whole_numbers(site, 2) for site in said))
        bonds = whole_numbers(settled.get("bonds"), len(sites) - 1)
        if bonds != clip_bonds(sites, bonds):
            limits = list(clip_bonds(sites, bonds))
            raise MisfitError(f"bonds {list(bonds)} are more than such sites can fill, {limits}")
        _check_span(sites, shape)
        return Mpo(sites=sites, bonds=bonds)

    def _seconds(self, problem: Problem | Stack) -> Callable[[Trial], float] | None:
        """Estimated seconds of a shape, where speed counts; the cores are not taken to be constants, so as to train."""
        if (rows := problem.rows) is None:
            return None

        def seconds(trial: Trial) -> float:
            alone = Mpo(sites=trial.sites, bonds=trial.bonds).network(problem.shape)
            network = replace(alone, stack=problem.stack)
            return seconds_of([(network, choose_order(network, rows))], rows)

        return seconds

    def _settled(self) -> tuple[Sites, tuple[int, ...]]:
        if self.bonds is None or not isinstance(self.sites, tuple):
            raise ValueError("sites and bonds are not settled; use what propose() returns")
        return self.sites, self.bonds

    def _fitting(self, problem: Problem | Stack) -> Sites:
        """Return the sites as given, if the weight fits into them."""
        assert isinstance(self.sites, tuple)  # noqa: S101 - narrowed by the caller
        _check_span(self.sites, problem.shape)
        return self.sites


def _check_span(sites: Sites, shape: tuple[int, int]) -> None:
    (rows, columns), (M, N) = features(sites), shape
    if rows < M or columns < N:
        raise MisfitError(f"sites span {rows}x{columns}, less than the weight's {M}x{N}")


def _count(sites: int | Sites) -> int:
    return sites if isinstance(sites, int) else len(sites)


def _modes(letter: str, sizes: list[int]) -> tuple[str, ...]:
    """Names of the modes that are not 1; the first one where all are."""
    return tuple(f"{letter}{k}" for k, size in enumerate(sizes) if size > 1) or (f"{letter}0",)
