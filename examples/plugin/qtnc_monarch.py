"""Monarch matrices for qtnc: two block-diagonal factors with a permutation between them (Dao et al., arXiv 2204.00595).

A weight (M, N) is cut into a grid of K x K tiles; tile (a, b) is the product of ``L[a, :, b, :]``, (M/K, rank), and
``R[b, a, :, :]``, (rank, N/K). As a map of x that is a product with blocks along a, a permutation, and a product with
blocks along b; at rank 1 it is what the paper calls a Monarch matrix.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from qtnc.structures.options import option
from qtnc.structures.structure import (
    Arrays,
    MisfitError,
    Part,
    Problem,
    Proposal,
    Stack,
    element_budget,
    whole_numbers,
)
from qtnc.tensor.metric import Matrix, root
from qtnc.tensor.network import TensorNetwork


@dataclass(frozen=True)
class Monarch:
    """A grid of tiles of low rank: two block-diagonal factors with a permutation between them."""

    name: ClassVar[str] = "monarch"
    stacks: ClassVar[bool] = True

    blocks: int = option("count", 4, "blocks of each factor, so that the weight is a grid of blocks x blocks tiles")
    rank: int | None = option("count", None, "rank of every tile")
    bytes: float | None = option("fraction", None, "largest share of the original weight's bytes")
    error: float | None = option("fraction", None, "largest relative error of the layer's output")

    def check(self) -> str | None:
        """Exactly one option says how large it becomes."""
        given = [self.rank, self.bytes, self.error].count(None)
        return None if given == 2 else "give one of `rank`, `bytes` and `error`"

    @property
    def leaves_choice(self) -> bool:
        """Whether the rank follows from bytes or error."""
        return self.rank is None

    def propose(self, problem: Problem | Stack) -> Proposal:
        """Turn ``bytes`` or ``error`` into a rank."""
        full = self._full(problem.shape)
        if self.bytes is not None:
            each = Monarch(self.blocks, 1).network(problem.shape).parameters
            rank = max(1, min(full, element_budget(self.bytes, problem.shape) // each))
            reason = f"largest rank within {self.bytes:.3g} of the bytes"
        elif self.error is not None:
            asked = self.error
            rank = 1 + bisect_left(range(1, full), True, key=lambda r: self._error(problem, r) <= asked)
            reason = f"smallest rank within error {asked:.3g}"
        else:
            rank = min(full, self.rank or full)
            reason = "rank as asked" if rank == self.rank else "full rank of the tiles"
        return Proposal(Monarch(self.blocks, rank), self._error(problem, rank), reason)

    def parts(self, shape: tuple[int, int]) -> tuple[Part, ...]:
        """Return the one network; qtnc lowers it to ONNX and torch, and counts it."""
        return (Part("Monarch", self.network(shape)),)

    def network(self, shape: tuple[int, int]) -> TensorNetwork:
        """Return ``a i, a i b r, b a r j -> b j``; tiles at the edges are padded."""
        i, j = self._tile(shape)
        sizes = {"a": self.blocks, "i": i, "b": self.blocks, "r": self._rank, "j": j}
        return TensorNetwork((("a", "i"), ("a", "i", "b", "r"), ("b", "a", "r", "j")), ("b", "j"), sizes, shape)

    def fit(self, problem: Problem) -> Arrays:
        """L (K, M/K, K, rank) and R (K, K, rank, N/K): tiles truncated one by one, then R solved for with all data."""
        tiles = self._padded(problem.weight)
        if problem.covariance is None:
            return self._truncated(tiles)
        left, _ = self._truncated(tiles, self._metrics(problem.covariance))
        return left, self._solved(tiles, left, problem.covariance)

    def dense(self, cores: Arrays, shape: tuple[int, int]) -> Matrix:
        """Put the tiles together."""
        left, right = cores
        tiles = np.einsum("aibr,barj->aibj", left, right, optimize=True)
        rows, columns = tiles.shape[0] * tiles.shape[1], tiles.shape[2] * tiles.shape[3]
        return np.asarray(tiles.reshape(rows, columns)[: shape[0], : shape[1]])

    def project(self, weight: NDArray[Any]) -> NDArray[Any]:
        """Truncate every tile."""
        M, N = weight.shape
        return self.dense(self._truncated(self._padded(weight)), (M, N)).astype(weight.dtype)

    def settled(self) -> Mapping[str, Any]:
        """Return blocks and rank."""
        return {"blocks": self.blocks, "rank": self._rank}

    def kept(self) -> Arrays:
        """Return nothing: blocks and rank say all."""
        return ()

    def settle(self, settled: Mapping[str, Any], shape: tuple[int, int], kept: Arrays | Problem) -> "Monarch":
        """Take blocks and rank."""
        blocks, rank = whole_numbers([settled.get("blocks"), settled.get("rank")])
        if rank > (full := Monarch(blocks)._full(shape)):
            raise MisfitError(f"rank {rank:,} is more than the {full:,} that a tile can have")
        return Monarch(blocks, rank)

    def _error(self, problem: Problem | Stack, rank: int) -> float:
        settled = Monarch(self.blocks, rank)
        return problem.error_of(lambda one: settled.dense(settled.fit(one), one.shape))

    def _truncated(self, tiles: NDArray[Any], metrics: Matrix | None = None) -> Arrays:
        """Truncated SVD of every tile (K, M/K, K, N/K), each in a metric (K, M/K, M/K) of its rows."""
        stacked = tiles.transpose(0, 2, 1, 3)
        weighted = stacked if metrics is None else metrics[:, None] @ stacked
        right = np.linalg.svd(weighted, full_matrices=False)[2][:, :, : self._rank]
        left = stacked @ right.swapaxes(2, 3)
        return left.transpose(0, 2, 1, 3), np.ascontiguousarray(right.swapaxes(0, 1))

    def _solved(self, tiles: Matrix, left: Matrix, covariance: Matrix) -> Matrix:
        """The R that is best beside L: least squares for each column of tiles, whose tiles read correlated inputs."""
        upper, columns = root(covariance).T, tiles.shape[3]  # |X A| is |upper A| for every A
        right = np.empty((self.blocks, self.blocks, self._rank, columns))
        for b in range(self.blocks):
            basis = block_diag(*left[:, :, b])[: len(covariance)]
            wanted = tiles[:, :, b].reshape(-1, columns)[: len(covariance)]
            right[b] = np.linalg.lstsq(upper @ basis, upper @ wanted)[0].reshape(right[b].shape)
        return right

    def _metrics(self, covariance: Matrix) -> Matrix:
        """Root of each diagonal block of a covariance (M, M), padded with the identity: (K, M/K, M/K)."""
        size = -(-len(covariance) // self.blocks)
        padded = np.eye(size * self.blocks)
        padded[: len(covariance), : len(covariance)] = covariance
        places = (slice(a * size, (a + 1) * size) for a in range(self.blocks))
        return np.stack([root(padded[place, place]).T for place in places])

    def _padded(self, weight: NDArray[Any]) -> NDArray[Any]:
        """The tiles of a weight, (K, M/K, K, N/K)."""
        (M, N), (i, j) = weight.shape, self._tile((weight.shape[0], weight.shape[1]))
        whole = np.pad(weight, ((0, self.blocks * i - M), (0, self.blocks * j - N)))
        return whole.reshape(self.blocks, i, self.blocks, j)

    def _tile(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of a tile."""
        if self.blocks > min(shape):
            raise MisfitError(f"{self.blocks:,} blocks are more than a weight of {shape[0]}x{shape[1]} has")
        return -(-shape[0] // self.blocks), -(-shape[1] // self.blocks)

    def _full(self, shape: tuple[int, int]) -> int:
        return min(self._tile(shape))

    @property
    def _rank(self) -> int:
        if self.rank is None:
            raise ValueError("the rank is not settled; use what propose() returns")
        return self.rank
