"""Cores that never change: a circulant is a network of its numbers and of adders, as the page about structures says."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy.linalg import circulant

from qtnc.structures.options import option
from qtnc.structures.structure import Part, Problem, Proposal, whole_numbers
from qtnc.tensor.metric import regularise
from qtnc.tensor.network import TensorNetwork
from qtnc.testing import check_structure


def bits_of(shape: tuple[int, int]) -> int:
    return max(2, (max(shape) - 1).bit_length())


def adders(bits: int) -> list[np.ndarray]:
    """Where ``i + k + carry`` gives bit j and the next carry: (carry out, i, k, j, carry in), highest bit first."""
    whole = np.zeros((2, 2, 2, 2, 2))
    for i, k, carry in np.ndindex(2, 2, 2):
        total = i + k + carry
        whole[total // 2, i, k, total % 2, carry] = 1
    # nothing is carried into the lowest bit, and what leaves the highest is dropped: modulo n
    return [whole.sum(axis=0), *[whole] * (bits - 2), whole[..., 0]]


def corner(c: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return np.asarray(circulant(c.ravel()).T[: shape[0], : shape[1]])


@dataclass(frozen=True)
class Circulant:
    """A corner of a circulant matrix."""

    name: ClassVar[str] = "circulant"

    least: int = option("count", 1, "smallest side")

    leaves_choice = False

    def check(self) -> None:
        return None

    def propose(self, problem: Problem) -> Proposal:
        error = problem.error(self.dense(self.fit(problem), problem.shape))
        return Proposal(self, error, "its numbers and adders")  # type: ignore[arg-type]

    def parts(self, shape: tuple[int, int]) -> tuple[Part, ...]:
        bits = bits_of(shape)
        i, j, k, r = ([f"{letter}{b}" for b in range(bits)] for letter in "ijkr")
        inner = [(r[b], i[b], k[b], j[b], r[b + 1]) for b in range(1, bits - 1)]
        first, last = (i[0], k[0], j[0], r[1]), (r[-1], i[-1], k[-1], j[-1])
        operands = (tuple(i), tuple(k), first, *inner, last)
        return (Part("Circulant", TensorNetwork(operands, tuple(j), dict.fromkeys(i + j + k + r[1:], 2), shape)),)

    def fit(self, problem: Problem) -> tuple[np.ndarray, ...]:
        return self.nearest(problem.weight, problem.covariance)

    def nearest(self, weight: np.ndarray, covariance: np.ndarray | None) -> tuple[np.ndarray, ...]:
        bits = bits_of((weight.shape[0], weight.shape[1]))
        root = np.eye(len(weight)) if covariance is None else np.linalg.cholesky(regularise(covariance)).T
        unit = np.eye(2**bits)
        columns = [(root @ corner(one, (weight.shape[0], weight.shape[1]))).ravel() for one in unit]
        c = np.linalg.lstsq(np.stack(columns, axis=1), (root @ weight).ravel(), rcond=None)[0]
        return (c.reshape((2,) * bits), *adders(bits))

    def dense(self, cores: tuple[np.ndarray, ...], shape: tuple[int, int]) -> np.ndarray:
        return corner(cores[0], shape)

    def project(self, weight: np.ndarray) -> np.ndarray:
        found = self.nearest(weight.astype(np.float64), None)
        return corner(found[0], (weight.shape[0], weight.shape[1])).astype(weight.dtype)

    def settled(self) -> dict[str, Any]:
        return {"least": self.least}

    def kept(self) -> tuple[np.ndarray, ...]:
        return ()

    def settle(self, settled: Any, shape: tuple[int, int], kept: Any) -> "Circulant":
        return Circulant(*whole_numbers([settled.get("least")]))


@pytest.mark.parametrize("bits", [2, 3, 5])
def test_adders_make_scipys_circulant(bits: int) -> None:
    c = np.random.default_rng(bits).standard_normal((2,) * bits)
    side = 2**bits
    (part,) = Circulant().parts((side, side))
    network = part.product
    assert isinstance(network, TensorNetwork)
    letters = {name: number for number, name in enumerate(network.size_dict)}
    flat: list[Any] = [
        np.eye(side).reshape((side, *(2,) * bits)),
        [len(letters), *(letters[m] for m in network.inputs[0])],
    ]
    for core, modes in zip((c, *adders(bits)), network.inputs[1:], strict=True):
        flat += [core, [letters[mode] for mode in modes]]
    found = np.einsum(*flat, [len(letters), *(letters[m] for m in network.output)], optimize="greedy")
    np.testing.assert_allclose(
        found.reshape(side, side), circulant(c.ravel()).T, atol=1e-14
    )  # sums of zeros and one number


def test_qtnc_takes_it_as_any_other() -> None:
    check_structure(Circulant(), shapes=[(8, 8), (5, 3)])
