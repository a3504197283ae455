"""Circuits around a structure: what is counted is stored, what is predicted is kept, and zero angles change nothing."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from qtnc.quantum.circuit import Circuit, run
from qtnc.quantum.gates import ANGLES
from qtnc.quantum.layout import LAYOUTS
from qtnc.structures.circuit import Circuits
from qtnc.structures.lowrank import LowRank
from qtnc.structures.mpo import Mpo
from qtnc.structures.options import options_of
from qtnc.structures.structure import MisfitError, Part, Problem, Proposal, parameters_of
from qtnc.tensor.network import TensorNetwork
from qtnc.tensor.sites import Sites, parameters

Matrix = NDArray[np.float64]

SLACK = 1e-9
"""Rounding of a relative error."""

SINGLE = 2e-6
"""The search is in float32 above an error of 0.05 and knows its square to 1e-7."""


@dataclass(frozen=True)
class Case:
    """A weight, what is asked for it, and what is proposed."""

    problem: Problem
    asked: Circuits
    proposal: Proposal

    @property
    def settled(self) -> Circuits:
        structure = self.proposal.structure
        assert isinstance(structure, Circuits)
        return structure

    @property
    def inner(self) -> Mpo:
        assert isinstance(self.settled.inner, Mpo)
        return self.settled.inner

    @property
    def padded(self) -> Problem:
        """The weight as it lies in the registers, without circuits."""
        missing = len(on_register(self.problem.weight)) - self.problem.shape[0]
        covariance = self.problem.covariance
        return Problem(
            on_register(self.problem.weight), None if covariance is None else np.pad(covariance, (0, missing))
        )

    @property
    def bare(self) -> Proposal:
        """The operator that is asked for, without circuits, on the same registers."""
        assert isinstance(self.asked.inner, Mpo)
        return self.asked.inner.on_register().propose(self.padded)


CASES = {
    "even": ((16, 16), "brickwall", 2, Mpo(sites=2, max_bond=3), False),
    "three-sites": ((16, 32), "cross", 1, Mpo(sites=3, max_bond=2), False),
    "own-sites": ((16, 16), "cross", 1, Mpo(sites=((2, 4), (8, 4)), max_bond=2), True),
    "auto": ((13, 17), "cross", 2, Mpo(max_bond=3), False),
    "bytes": ((13, 17), "brickwall", 1, Mpo(sites=2, bytes=0.8), True),
    "error": ((16, 16), "cross", 1, Mpo(sites=2, error=0.4), False),
    "wide": ((5, 64), "brickwall", 2, Mpo(sites=2, max_bond=3), True),
    "row": ((1, 8), "cross", 2, Mpo(sites=2, max_bond=1), False),
    "column": ((8, 1), "brickwall", 1, Mpo(sites=2, max_bond=1), True),
    "number": ((1, 1), "cross", 3, Mpo(sites=2, max_bond=1), False),
    "large": ((384, 100), "cross", 1, Mpo(sites=2, max_bond=4), False),
}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    """Proposed once; every test looks at another side of it."""
    shape, layout, depth, inner, data = CASES[request.param]
    rng = np.random.default_rng(3)
    x = rng.standard_normal((3 * shape[0], shape[0])) @ rng.standard_normal((shape[0], shape[0]))
    problem = Problem(rng.standard_normal(shape), x.T @ x / len(x) if data else None)
    asked = Circuits(depth=depth, layout=layout, inner=inner)
    return Case(problem, asked, asked.propose(problem))


def on_register(weight: Matrix) -> Matrix:
    """Padded with zeros to powers of two."""
    padded = np.zeros([2 ** int(np.ceil(np.log2(size))) for size in weight.shape])
    padded[: weight.shape[0], : weight.shape[1]] = weight
    return padded


def through(parts: tuple[Part, ...], arrays: tuple[Matrix, ...], x: Matrix) -> Matrix:
    """Rows of x through the parts in turn, each with its own arrays."""
    left: Iterator[Matrix] = iter(arrays)
    for part in parts:
        own = [next(left) for _ in part.product.core_shapes]
        assert tuple(array.shape for array in own) == part.product.core_shapes
        assert x.shape[1] == part.product.features[0]
        x = run(part.product, own[0], x) if isinstance(part.product, Circuit) else contracted(part.product, own, x)
    assert next(left, None) is None
    return x


def contracted(network: TensorNetwork, cores: list[Matrix], x: Matrix) -> Matrix:
    number = {name: k + 1 for k, name in enumerate(network.size_dict)}
    modes = network.sizes(network.inputs[0])
    padded = np.pad(x, ((0, 0), (0, prod(modes) - x.shape[1]))).reshape(len(x), *modes)
    operands: list[Any] = [padded, [0, *(number[i] for i in network.inputs[0])]]
    for core, indices in zip(cores, network.inputs[1:], strict=True):
        operands += [core, [number[i] for i in indices]]
    y = np.einsum(*operands, [0, *(number[i] for i in network.output)], optimize=True)
    return np.asarray(y).reshape(len(x), -1)[:, : network.features[1]]


def test_the_matrix_is_the_product_of_the_parts(case: Case) -> None:
    shape = case.problem.shape
    parts, arrays = case.settled.parts(shape), case.settled.fit(case.problem)
    assert [part.role for part in parts] == ["input", "", "output"]
    dense = case.settled.dense(arrays, shape)
    assert dense.shape == shape
    np.testing.assert_allclose(dense, through(parts, arrays, np.eye(shape[0])), atol=1e-12 * (1 + np.abs(dense).max()))


def test_what_is_counted_is_what_is_stored(case: Case) -> None:
    arrays = case.settled.fit(case.problem)
    assert parameters_of(case.settled.parts(case.problem.shape)) == sum(array.size for array in arrays)
    gates = sum(len(layer) for side in case.settled.sides or () for layer in side)
    assert arrays[0].size + arrays[-1].size == ANGLES * gates
    assert all(np.isfinite(array).all() for array in arrays)


def test_the_error_is_no_larger_than_predicted(case: Case) -> None:
    dense = case.settled.dense(case.settled.fit(case.problem), case.problem.shape)
    assert case.problem.error(dense) <= case.proposal.predicted_error + SLACK


def test_zero_angles_are_the_inner_structure(case: Case) -> None:
    rows, columns = case.settled.kept()
    plain = replace(case.settled, angles=(np.zeros_like(rows), np.zeros_like(columns)))
    M, N = case.problem.shape
    alone = case.inner.dense(case.inner.fit(case.padded), case.padded.shape)[:M, :N]
    # To the bit: the circuits are identities without a rounding error.
    np.testing.assert_array_equal(plain.dense(plain.fit(case.problem), (M, N)), alone)


def test_projecting_what_it_holds_changes_nothing(case: Case) -> None:
    dense = case.settled.dense(case.settled.fit(case.problem), case.problem.shape)
    if case.padded.shape == case.problem.shape:
        np.testing.assert_allclose(case.settled.project(dense), dense, atol=1e-12)
    assert case.settled.project(dense.astype(np.float32)).dtype == np.float32


def test_the_settled_options_tell_every_gate(case: Case) -> None:
    told = case.settled.settled()
    assert (told["depth"], told["layout"]) == (case.asked.depth, case.asked.layout)
    assert told["inner"] == {"structure": "mpo", **case.inner.settled()}
    first, last = case.settled.circuits(case.problem.shape)
    pairs = {side: [tuple(pair) for layer in told["layers"][side] for pair in layer] for side in ("input", "output")}
    # x meets the outermost layer first.
    outermost_first = [tuple(pair) for layer in told["layers"]["input"][::-1] for pair in layer]
    assert (first.pairs, last.pairs) == (tuple(outermost_first), tuple(pairs["output"]))
    assert json.loads(json.dumps(told)) == told


@pytest.mark.parametrize("case", ["even", "three-sites", "auto", "row", "number", "large"], indirect=True)
def test_circuits_cost_no_accuracy(case: Case) -> None:
    assert case.proposal.predicted_error <= case.bare.predicted_error + SINGLE


@pytest.mark.parametrize("case", ["even", "auto", "row", "large"], indirect=True)
def test_the_angles_are_used_where_they_were_found(case: Case) -> None:
    """With two sites in the plain metric, what the search is left with is what the operator cannot hold."""
    assert case.settled.start is not None
    weight = case.padded.weight
    left = weight - replace(case.settled, inner=case.settled.start).project(weight)
    found = np.linalg.norm(left) / np.linalg.norm(weight) if weight.any() else 0.0
    assert case.proposal.predicted_error == pytest.approx(found, abs=SINGLE)


def test_it_is_settled_again_by_what_it_says(case: Case) -> None:
    """With the angles as they were kept, and, since the search follows from the weight, without them."""
    told = json.loads(json.dumps(case.settled.settled()))
    for kept in (case.settled.kept(), case.problem):
        again = case.asked.settle(told, case.problem.shape, kept)
        assert again == case.settled
        for ours, theirs in zip(again.kept(), case.settled.kept(), strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("case", ["even"], indirect=True)
@pytest.mark.parametrize("change", [{"depth": 7}, {"layers": {}}, {"inner": 3}, {"start": None}])
def test_circuits_that_nobody_asked_for_are_no_settled_ones(case: Case, change: dict[str, object]) -> None:
    with pytest.raises(MisfitError):
        case.asked.settle({**case.settled.settled(), **change}, case.problem.shape, ())


@pytest.mark.parametrize("case", ["even", "auto", "large"], indirect=True)
def test_circuits_gain(case: Case) -> None:
    """Even on numbers without any structure: the angles are more freedom."""
    assert case.proposal.predicted_error < case.bare.predicted_error - 1e-3


@pytest.mark.parametrize("case", ["error"], indirect=True)
def test_an_error_is_held_with_no_larger_bonds(case: Case) -> None:
    assert case.proposal.predicted_error <= 0.4 + SLACK
    bare = case.bare.structure
    assert isinstance(bare, Mpo)
    assert (case.inner.bonds or ()) <= (bare.bonds or ())


@pytest.mark.parametrize("case", ["bytes"], indirect=True)
def test_bytes_are_a_share_of_the_weight_with_angles_and_padding(case: Case) -> None:
    stored = parameters_of(case.settled.parts(case.problem.shape))
    assert case.inner.bonds is not None
    assert isinstance(case.inner.sites, tuple)
    (bond,) = case.inner.bonds
    wider = parameters(case.inner.sites, (bond + 1,)) - parameters(case.inner.sites, (bond,))
    assert stored <= 0.8 * 13 * 17 < stored + wider


def test_angles_that_are_more_than_the_bytes_are_refused() -> None:
    problem = Problem(np.random.default_rng(0).standard_normal((16, 16)))
    asked = Circuits(depth=4, layout="cross", inner=Mpo(sites=2, bytes=0.2))
    with pytest.raises(MisfitError, match=r"96 angles alone are more than 0\.2 of the weight's 256 elements"):
        asked.propose(problem)


@pytest.mark.parametrize(
    ("sites", "said"),
    [
        (((6, 8), (3, 4)), "a site of size 6 holds no whole number of qubits"),
        (((4, 8), (4, 6)), "a site of size 6 holds no whole number of qubits"),
        (((8, 8), (4, 8)), "sites span 32x64; give sites that span the registers of the circuits, 16x32"),
        (((4, 4), (4, 4)), "sites span 16x16, less than"),
    ],
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_sites_that_hold_no_registers_are_refused(sites: Sites, said: str, layout: str) -> None:
    problem = Problem(np.random.default_rng(0).standard_normal((13, 17)))
    with pytest.raises(MisfitError, match=said):
        Circuits(depth=2, layout=layout, inner=Mpo(sites=sites, max_bond=2)).propose(problem)


@pytest.mark.parametrize("inner", [LowRank(rank=3), Mpo(sites=((16, 1), (1, 32)), max_bond=3)])
def test_around_low_rank_every_gate_is_gauge(inner: LowRank | Mpo) -> None:
    problem = Problem(np.random.default_rng(0).standard_normal((13, 17)))
    proposal = Circuits(depth=4, inner=inner).propose(problem)
    settled = proposal.structure
    assert isinstance(settled, Circuits)
    assert proposal.reason.endswith("every gate is gauge: no circuit changes its error")
    assert [circuit.gates for circuit in settled.circuits((13, 17))] == [0, 0]
    arrays = settled.fit(problem)
    assert [array.size for array in (arrays[0], arrays[-1])] == [0, 0]
    svd = LowRank(rank=3).propose(problem).predicted_error
    assert proposal.predicted_error == pytest.approx(svd, abs=SLACK)
    assert problem.error(settled.dense(arrays, (13, 17))) == pytest.approx(svd, abs=SLACK)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_zero_weight(layout: str) -> None:
    problem = Problem(np.zeros((6, 8)))
    proposal = Circuits(depth=2, layout=layout, inner=Mpo(sites=2, max_bond=2)).propose(problem)
    assert proposal.predicted_error == 0.0
    assert not proposal.structure.dense(proposal.structure.fit(problem), (6, 8)).any()


def test_circuits_surround_no_circuits() -> None:
    inner = Circuits(inner=Mpo(sites=2, max_bond=2))
    assert inner.check() is None
    assert Circuits(inner=inner).check() == "circuits surround no circuits; ask for more `depth`"


def test_the_planner_chooses_where_the_inner_structure_leaves_a_choice() -> None:
    assert Circuits(inner=Mpo(sites=2, bytes=0.5)).leaves_choice
    assert not Circuits(inner=Mpo(sites=2, max_bond=3)).leaves_choice


def test_the_options_are_depth_and_layout() -> None:
    assert {name: option.kind for name, option in options_of(Circuits).items()} == {"depth": "count", "layout": "word"}


def test_what_is_not_settled_cannot_be_fitted() -> None:
    problem = Problem(np.ones((4, 4)))
    asked = Circuits(inner=Mpo(sites=2, bonds=(1,)))
    for use in (lambda: asked.parts((4, 4)), lambda: asked.fit(problem), lambda: asked.project(problem.weight)):
        with pytest.raises(ValueError, match="not settled; use what propose"):
            use()
    with pytest.raises(ValueError, match="circuits surround a structure, and there is none"):
        Circuits().propose(problem)
