"""The kit for structures: ours keep every promise, and of one that breaks any the kit names the member."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from qtnc.structures.circuit import Circuits
from qtnc.structures.lowrank import LowRank
from qtnc.structures.mpo import Mpo
from qtnc.structures.options import option
from qtnc.structures.structure import Proposal
from qtnc.testing import check_structure

SMALL = ((8, 12),)


@pytest.mark.parametrize(
    "structure",
    [
        LowRank(rank=3),
        LowRank(error=0.3),
        LowRank(bytes=0.5),
        Mpo(sites=2, max_bond=3),
        Mpo(max_bond=3),
        Mpo(error=0.5),
    ],
    ids=repr,
)
def test_ours_keep_their_promises(structure: Any) -> None:
    check_structure(structure)


def test_circuits_do(monarch: type[Any]) -> None:
    check_structure(Circuits(1, "brickwall", Mpo(sites=2, max_bond=2)), ((6, 8),))
    check_structure(Circuits(1, "cross", monarch(2, 2)), ((8, 8),))


def test_that_of_the_page_does(load_page: Callable[[Path], dict[str, Any]]) -> None:
    page = Path(__file__).parents[2] / "docs" / "structures.md"
    check_structure(load_page(page)["BlockDiagonal"](4))


@dataclass(frozen=True)
class Thin(LowRank):
    """Low rank, of which all that is settled is of its own class."""

    name: ClassVar[str] = "thin"

    rank: int | None = option("count", 3, "rank")

    def propose(self, problem: Any) -> Proposal:
        found = super().propose(problem)
        return replace(found, structure=type(self)(rank=found.structure.settled()["rank"]))

    def settle(self, settled: Any, shape: Any, kept: Any) -> Any:
        return type(self)(rank=super().settle(settled, shape, kept).rank)


class Optimist(Thin):
    def propose(self, problem: Any) -> Proposal:
        found = super().propose(problem)
        return replace(found, predicted_error=found.predicted_error * 0.9)


class Bare(Thin):
    def propose(self, problem: Any) -> Any:
        return super().propose(problem).structure


class Lonely(Thin):
    def parts(self, shape: Any) -> Any:
        (part,) = super().parts(shape)
        network = part.product
        first, second = network.inputs[1:]
        inputs = (network.inputs[0], first, (*second, "s"))
        return (replace(part, product=replace(network, inputs=inputs, size_dict={**network.size_dict, "s": 2})),)


class Silent(Thin):
    def propose(self, problem: Any) -> Proposal:
        return replace(super().propose(problem), reason="")


class Fickle(Thin):
    asked = 0

    def propose(self, problem: Any) -> Proposal:
        type(self).asked += 1
        return replace(super().propose(problem), predicted_error=1.0 + type(self).asked)


class Random(Thin):
    rng = np.random.default_rng(0)

    def fit(self, problem: Any) -> Any:
        return tuple(core + self.rng.normal(size=core.shape) for core in super().fit(problem))


class Half(Thin):
    def fit(self, problem: Any) -> Any:
        return tuple(core.astype(np.float32) for core in super().fit(problem))


class Fewer(Thin):
    def fit(self, problem: Any) -> Any:
        return super().fit(problem)[:1]


class Other(Thin):
    def dense(self, cores: Any, shape: Any) -> Any:
        return 1.01 * super().dense(cores, shape)


class Wide(Thin):
    def project(self, weight: Any) -> Any:
        return super().project(weight).astype(np.float64)


class Far(Thin):
    def project(self, weight: Any) -> Any:
        return -weight


class Unsaid(Thin):
    def settled(self) -> Any:
        return {"rank": np.int64(3)}


class Forgetful(Thin):
    def settle(self, settled: Any, shape: Any, kept: Any) -> Any:
        return super().settle({"rank": 1}, shape, kept)


class Trusting(Thin):
    def settle(self, settled: Any, shape: Any, kept: Any) -> Any:
        return type(self)(rank=int(settled["rank"]))


class Untold(Thin):
    def parts(self, shape: Any) -> Any:
        return tuple(replace(part, role="a") for part in super().parts(shape))


class Picky(Thin):
    def check(self) -> str | None:
        return "not today"


class Stacked(Thin):
    def propose(self, problem: Any) -> Proposal:
        found = super().propose(problem)
        return replace(found, predicted_error=found.predicted_error * (0.9 if problem.stack else 1.0))


class Renamed(Thin):
    def settle(self, settled: Any, shape: Any, kept: Any) -> Any:
        return LowRank().settle(settled, shape, kept)


class Loaded(Thin):
    def settled(self) -> Any:
        return {"rank": float("nan")}


LIES: dict[type[Thin], str] = {
    Optimist: "`propose` at 8x12, without data: predicts an error of",
    Bare: "`propose` at 8x12, without data: returns a Bare, and is to return a Proposal",
    Lonely: "`parts` at 8x12, without data: has an index `s` that is in one tensor of `",
    Silent: "`propose` at 8x12, without data: gives no reason",
    Fickle: "`propose` at 8x12, without data: says something else when it is asked again",
    Random: "`settle` at 8x12, without data: with `kept()` is another than was proposed, or fits otherwise",
    Renamed: "`settle` at 8x12, without data: is called `lowrank`, and `thin` was asked",
    Half: "`fit` at 8x12, without data: returns what are no finite arrays of float64",
    Fewer: "`fit` at 8x12, without data: returns cores of shapes [(8, 3)], the parts have",
    Other: "`dense` at 8x12, without data: is 0.0099 from what the parts multiply to",
    Wide: "`project` at 8x12, without data: of float32 (8, 12) is float64 (8, 12)",
    Far: "`project` at 8x12, without data: is further from the weight than nothing is",
    Unsaid: "`settled` at 8x12, without data: is not what JSON holds",
    Loaded: "`settled` at 8x12, without data: is not what JSON holds",
    Forgetful: "`settle` at 8x12, without data: with `kept()` is another than was proposed",
    Trusting: "`settle` at 8x12, without data: of {} raises KeyError",
    Untold: "`parts` at 8x12, without data: has the roles",
    Picky: "`check`: refuses these options: not today",
    Stacked: "`propose` at a stack of 3 8x12: predicts an error of",
}


@pytest.mark.parametrize("kind", LIES, ids=lambda kind: kind.__name__)
def test_a_broken_promise_is_named(kind: type[Thin]) -> None:
    with pytest.raises(AssertionError, match=f"^{re.escape(LIES[kind])}"):
        check_structure(kind(), SMALL, backends=False)


def test_one_shape_must_fit(load_page: Callable[[Path], dict[str, Any]]) -> None:
    page = Path(__file__).parents[2] / "docs" / "structures.md"
    kind = load_page(page)["BlockDiagonal"]
    check_structure(kind(5), ((16, 24), (10, 15)))
    with pytest.raises(AssertionError, match="`propose`: fits none of the shapes"):
        check_structure(kind(5), ((16, 24),))


def test_what_is_no_structure_is_said() -> None:
    class Nothing:
        name = "nothing"

    with pytest.raises(AssertionError, match="`Nothing`: is no dataclass"):
        check_structure(Nothing())  # type: ignore[arg-type]


def test_backends_are_held_to_the_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Thin, "dense", lambda self, cores, shape: 1.01 * LowRank.dense(self, cores, shape))
    from qtnc.testing.backends import check_backends

    with pytest.raises(AssertionError, match="torch at 8x12, 1 rows: y is 0.0099 from"):
        check_backends(Thin(), SMALL)
