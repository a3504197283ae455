"""What structures promise: counts, errors and budgets, measured on what they fit."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from math import log2, prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qtnc.structures.circuit import Circuits
from qtnc.structures.lowrank import LowRank
from qtnc.structures.mpo import Mpo
from qtnc.structures.options import options_of
from qtnc.structures.registry import STRUCTURES
from qtnc.structures.structure import MisfitError, Problem, Proposal, Structure, element_budget
from qtnc.tensor.lowrank import low_rank
from qtnc.tensor.metric import relative_error
from qtnc.tensor.sites import Sites, balanced, full_bonds, parameters, uniform_bonds

Matrix = NDArray[np.float64]
Weights = Callable[[str, int, int, int], Matrix]
Covariances = Callable[[str, int, int], Matrix | None]

SLACK = 1e-9
"""Rounding of a relative error: fits are deterministic, the norm of C loses some 1e-12 at worst here."""

kinds = st.sampled_from(["dense", "thin", "sparse", "zero"])
metrics = st.sampled_from(["none", "full", "singular", "steep", "zero"])
sizes = st.integers(1, 24)
seeds = st.integers(0, 2**32 - 1)
shares = st.floats(0.01, 1.0)


@st.composite
def options(draw: st.DrawFn) -> Structure:
    """Any structure whose options may stand together, without sites of its own."""
    if draw(st.booleans()):
        kind = draw(st.sampled_from(["rank", "bytes", "error", None]))
        return LowRank(**({} if kind is None else {kind: draw(st.integers(1, 30) if kind == "rank" else shares)}))
    given: dict[str, Any] = {"sites": draw(st.sampled_from(["auto", 2, 3, 4]))}
    aim = draw(st.sampled_from(["bytes", "error", None]))
    if aim:
        given[aim] = draw(shares)
    if draw(st.booleans()) or (given["sites"] == "auto" and aim is None):
        given["max_bond"] = draw(st.integers(1, 20))
    if draw(st.booleans()):
        given["cutoff"] = draw(st.floats(0.0, 1.0))
    return Mpo(**given)


def measured(proposal: Proposal, problem: Problem) -> float:
    """Error of the fit itself, rebuilt by einsum from the cores and the network alone."""
    structure = proposal.structure
    network = structure.network(problem.shape)
    cores = structure.fit(problem)
    assert tuple(core.shape for core in cores) == network.core_shapes
    assert all(np.isfinite(core).all() for core in cores)
    assert network.features == problem.shape
    number = {name: k for k, name in enumerate(network.size_dict)}
    operands: list[object] = []
    for core, indices in zip(cores, network.inputs[1:], strict=True):
        operands += [core, [number[i] for i in indices]]
    x_modes, y_modes = network.inputs[0], network.output
    full = np.asarray(np.einsum(*operands, [number[i] for i in (*x_modes, *y_modes)], optimize=True))
    matrix = full.reshape(prod(network.sizes(x_modes)), -1)[: problem.shape[0], : problem.shape[1]]
    np.testing.assert_allclose(structure.dense(cores, problem.shape), matrix, atol=1e-10 * (1 + np.abs(matrix).max()))
    return relative_error(problem.weight, matrix, problem.covariance)


@given(structure=options(), kind=kinds, metric=metrics, rows=sizes, columns=sizes, seed=seeds)
@settings(max_examples=100, deadline=None)
def test_what_is_proposed_is_kept(
    make_weight: Weights,
    make_covariance: Covariances,
    structure: Structure,
    kind: str,
    metric: str,
    rows: int,
    columns: int,
    seed: int,
) -> None:
    assert structure.check() is None
    problem = Problem(make_weight(kind, rows, columns, seed), make_covariance(metric, rows, seed))
    proposal = structure.propose(problem)
    settled = proposal.structure
    assert measured(proposal, problem) <= proposal.predicted_error + SLACK
    assert proposal.reason
    cores = settled.fit(problem)
    network = settled.network(problem.shape)
    assert network.parameters == sum(core.size for core in cores)
    if isinstance(settled, Mpo):
        assert isinstance(settled.sites, tuple)
        assert settled.bonds is not None
        assert network.parameters == parameters(settled.sites, settled.bonds)
        assert settled.settled() == {"sites": [list(s) for s in settled.sites], "bonds": list(settled.bonds)}
        if isinstance(structure, Mpo) and structure.max_bond:
            assert max(settled.bonds) <= structure.max_bond
    if isinstance(settled, LowRank):
        assert settled.rank is not None
        assert network.parameters == settled.rank * (rows + columns)
        assert settled.settled() == {"rank": settled.rank}
    again = structure.settle(json.loads(json.dumps(settled.settled())), problem.shape, settled.kept())
    assert again == settled == structure.settle(settled.settled(), problem.shape, problem)


WRONG = [
    (LowRank(), {}, "positive whole"),
    (LowRank(), {"rank": 0}, "positive whole"),
    (LowRank(), {"rank": True}, "positive whole"),
    (LowRank(), {"rank": "4"}, "positive whole"),
    (LowRank(), {"rank": 7}, "rank 7 is more than the 6"),
    (Mpo(), {}, "at least 2 sites"),
    (Mpo(), {"sites": [[6, 8]], "bonds": []}, "at least 2 sites"),
    (Mpo(), {"sites": [[2, 2], [3]], "bonds": [1]}, "2 positive whole"),
    (Mpo(), {"sites": [[2, 2], [3, 4]], "bonds": [1, 1]}, "1 positive whole"),
    (Mpo(), {"sites": [[2, 2], [3, 4]], "bonds": None}, "1 positive whole"),
    (Mpo(), {"sites": [[2, 2], [3, 4]], "bonds": [5]}, "bonds [5] are more than such sites can fill, [4]"),
    (Mpo(), {"sites": [[2, 2], [2, 4]], "bonds": [1]}, "sites span 4x8, less than the weight's 6x8"),
]


@pytest.mark.parametrize(("structure", "settled", "said"), WRONG)
def test_what_is_no_settled_structure_is_refused(structure: Structure, settled: Mapping[str, Any], said: str) -> None:
    with pytest.raises(MisfitError, match=re.escape(said)):
        structure.settle(settled, (6, 8), ())


@given(structure=options(), kind=kinds, metric=metrics, rows=sizes, columns=sizes, share=shares, seed=seeds)
@settings(max_examples=80, deadline=None)
def test_a_share_of_the_bytes_is_held_where_anything_fits(
    make_weight: Weights,
    make_covariance: Covariances,
    structure: Structure,
    kind: str,
    metric: str,
    rows: int,
    columns: int,
    share: float,
    seed: int,
) -> None:
    problem = Problem(make_weight(kind, rows, columns, seed), make_covariance(metric, rows, seed))
    budget = element_budget(share, problem.shape)
    if isinstance(structure, LowRank):
        asked: Structure = LowRank(bytes=share)
        least = rows + columns
    else:
        asked = Mpo(sites=structure.sites, bytes=share)
        auto = ((rows, 1), (1, columns))
        sites = balanced(rows, columns, structure.sites) if isinstance(structure.sites, int) else auto
        least = parameters(sites, uniform_bonds(sites, 1))
    stored = asked.propose(problem).structure.network(problem.shape).parameters
    assert stored <= max(budget, least)


@given(
    structure=st.sampled_from([LowRank(), Mpo(sites="auto"), Mpo(sites=2), Mpo(sites=3)]),
    kind=kinds,
    metric=metrics,
    rows=sizes,
    columns=sizes,
    error=st.floats(0.001, 1.0),
    seed=seeds,
)
@settings(max_examples=80, deadline=None)
def test_an_asked_error_is_held(
    make_weight: Weights,
    make_covariance: Covariances,
    structure: LowRank | Mpo,
    kind: str,
    metric: str,
    rows: int,
    columns: int,
    error: float,
    seed: int,
) -> None:
    problem = Problem(make_weight(kind, rows, columns, seed), make_covariance(metric, rows, seed))
    asked = replace(structure, error=error)
    proposal = asked.propose(problem)
    assert proposal.predicted_error <= error + 1e-14
    assert measured(proposal, problem) <= error + SLACK
    if isinstance(asked, Mpo) and asked.sites == "auto":
        # Low rank is one of the shapes, and the fewest bytes win.
        least = LowRank(error=error).propose(problem).structure.network(problem.shape).parameters
        assert proposal.structure.network(problem.shape).parameters <= least


@given(kind=kinds, metric=metrics, rows=sizes, columns=sizes, share=shares, seed=seeds)
@settings(max_examples=80, deadline=None)
def test_the_search_never_loses_to_the_whitened_svd_at_equal_bytes(
    make_weight: Weights,
    make_covariance: Covariances,
    kind: str,
    metric: str,
    rows: int,
    columns: int,
    share: float,
    seed: int,
) -> None:
    problem = Problem(make_weight(kind, rows, columns, seed), make_covariance(metric, rows, seed))
    proposal = Mpo(sites="auto", bytes=share).propose(problem)
    rank = int(share * rows * columns) // (rows + columns)
    if rank:
        a, b = low_rank(problem.weight, rank, problem.covariance)
        assert measured(proposal, problem) <= problem.error(a @ b) + SLACK


def test_the_search_finds_the_shape_that_a_weight_has() -> None:
    rng = np.random.default_rng(0)
    weight = np.kron(rng.standard_normal((8, 8)), rng.standard_normal((8, 8)))
    proposal = Mpo(sites="auto", bytes=0.05).propose(Problem(weight))
    assert proposal.structure.settled() == {"sites": [[8, 8], [8, 8]], "bonds": [1]}
    assert proposal.predicted_error < 1e-12
    # Low rank at the same bytes is far off: the Kronecker product has full rank.
    assert LowRank(bytes=0.05).propose(Problem(weight)).predicted_error > 0.5


def test_max_bond_holds_beside_a_share_of_the_bytes() -> None:
    weight = np.random.default_rng(0).standard_normal((24, 24))
    for sites in ("auto", 2, 3):
        structure = Mpo(sites=sites, max_bond=3, bytes=0.9).propose(Problem(weight)).structure  # type: ignore[arg-type]
        assert isinstance(structure, Mpo)
        assert structure.bonds is not None
        assert max(structure.bonds) <= 3


@given(rows=sizes, columns=sizes, cutoff=st.floats(1e-3, 1.0), seed=seeds)
@settings(max_examples=40, deadline=None)
def test_bonds_cut_off_can_all_be_filled(rows: int, columns: int, cutoff: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((rows, columns)) * 10.0 ** rng.uniform(-4, 0, columns)
    problem = Problem(weight)
    for count in (2, 3, 4):
        plain = Mpo(sites=count).propose(problem).structure
        cut = Mpo(sites=count, cutoff=cutoff).propose(problem)
        measured(cut, problem)
        assert isinstance(plain, Mpo)
        assert isinstance(cut.structure, Mpo)
        assert plain.bonds is not None
        assert cut.structure.bonds is not None
        assert all(a <= b for a, b in zip(cut.structure.bonds, plain.bonds, strict=True))


@given(rows=sizes, columns=sizes, data=st.data(), metric=metrics, kind=kinds, seed=seeds)
@settings(max_examples=60, deadline=None)
def test_without_limits_the_weight_is_reproduced(
    make_weight: Weights,
    make_covariance: Covariances,
    rows: int,
    columns: int,
    data: st.DataObject,
    metric: str,
    kind: str,
    seed: int,
) -> None:
    problem = Problem(make_weight(kind, rows, columns, seed), make_covariance(metric, rows, seed))
    count = data.draw(st.integers(2, max(2, int(log2(max(2, rows, columns))))))
    for structure in (LowRank(), Mpo(sites=count)):
        proposal = structure.propose(problem)
        cores = proposal.structure.fit(problem)
        # Everywhere, not only where the data went.
        scale = 1.0 + float(np.abs(problem.weight).max())
        np.testing.assert_allclose(proposal.structure.dense(cores, problem.shape), problem.weight, atol=1e-10 * scale)


@pytest.mark.parametrize(
    ("sites", "shape"), [(((2, 3), (4, 5)), (8, 15)), (((2, 3), (4, 5)), (7, 13)), (((1, 1), (7, 5), (1, 1)), (7, 5))]
)
def test_sites_of_ones_own(sites: Sites, shape: tuple[int, int]) -> None:
    problem = Problem(np.random.default_rng(0).standard_normal(shape))
    proposal = Mpo(sites=sites, max_bond=4).propose(problem)
    assert isinstance(proposal.structure, Mpo)
    assert proposal.structure.sites == sites
    assert proposal.structure.bonds == uniform_bonds(sites, 4)
    assert measured(proposal, problem) <= proposal.predicted_error + SLACK
    assert proposal.reason == "sites as asked"


def test_sites_that_do_not_hold_the_weight_are_refused() -> None:
    problem = Problem(np.ones((9, 15)))
    with pytest.raises(ValueError, match="sites span 8x15, less than the weight's 9x15"):
        Mpo(sites=((2, 3), (4, 5)), max_bond=4).propose(problem)


def test_modes_of_size_one_leave_the_network() -> None:
    structure = Mpo(sites=((6, 1), (1, 5)), bonds=(2,))
    network = structure.network((6, 5))
    assert network.equation == "m0, m0 r1, r1 n1 -> n1"
    assert network.parameters == 2 * (6 + 5)
    # It is low rank, and finds what low rank finds.
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 6))
    problem = Problem(rng.standard_normal((6, 5)), x.T @ x / 30)
    for ours, theirs in zip(structure.fit(problem), LowRank(rank=2).fit(problem), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("structure", "fault"),
    [
        (LowRank(rank=3, bytes=0.5), "give one of `rank`, `bytes`, not 2"),
        (LowRank(rank=3, bytes=0.5, error=0.1), "give one of `rank`, `bytes`, `error`, not 3"),
        (LowRank(), None),
        (LowRank(error=0.1), None),
        (Mpo(bytes=0.5, error=0.1), "give one of `bytes` and `error`, not 2"),
        (Mpo(), "`sites: auto` needs"),
        (Mpo(cutoff=0.1), "`sites: auto` needs"),
        (Mpo(sites=1, max_bond=3), "at least 2 sites"),
        (Mpo(sites=((4, 4),), max_bond=3), "at least 2 sites"),
        (Mpo(sites=2), None),
        (Mpo(max_bond=3, bytes=0.5), None),
        (Mpo(max_bond=3, error=0.5), None),
    ],
)
def test_options_that_contradict_each_other_are_told(structure: Structure, fault: str | None) -> None:
    said = structure.check()
    assert said is None if fault is None else fault in (said or "")


@pytest.mark.parametrize(
    ("structure", "leaves"),
    [
        (LowRank(), False),
        (LowRank(rank=3), False),
        (LowRank(bytes=0.5), True),
        (LowRank(error=0.5), True),
        (Mpo(max_bond=3), True),
        (Mpo(sites=2, max_bond=3), False),
        (Mpo(sites=2, bytes=0.5), True),
        (Mpo(sites=((2, 2), (2, 2)), error=0.5), True),
    ],
)
def test_what_the_spec_leaves_open_is_known(structure: Structure, leaves: bool) -> None:
    assert structure.leaves_choice is leaves


@pytest.mark.parametrize("structure", [LowRank(), LowRank(error=0.1), Mpo(sites=2, max_bond=3), Mpo(bytes=0.3)])
def test_what_is_not_settled_cannot_be_fitted(structure: Structure) -> None:
    problem = Problem(np.ones((4, 4)))
    for use in (structure.settled, lambda: structure.network((4, 4)), lambda: structure.fit(problem)):
        with pytest.raises(ValueError, match="settled"):
            use()


@given(percent=st.integers(1, 100), rows=st.integers(1, 500), columns=st.integers(1, 500))
@settings(max_examples=100, deadline=None)
def test_a_percentage_of_the_elements_is_counted_exactly(percent: int, rows: int, columns: int) -> None:
    assert element_budget(percent / 100, (rows, columns)) == int(Fraction(percent, 100) * rows * columns)


def test_the_registry_is_by_name() -> None:
    assert dict(STRUCTURES) == {"lowrank": LowRank, "mpo": Mpo, "circuit": Circuits}
    kinds: Mapping[str, str] = {o.name: o.kind for o in options_of(Mpo).values()}
    assert kinds == {
        "sites": "sites",
        "max_bond": "count",
        "cutoff": "number",
        "bytes": "fraction",
        "error": "fraction",
    }
    assert "bonds" not in options_of(Mpo)


def test_full_bonds_need_more_than_the_weight() -> None:
    # Why `dense is smaller` exists: an unlimited operator of two even sites stores twice the weight.
    sites = balanced(64, 64, 2)
    assert parameters(sites, full_bonds(sites)) == 2 * 64 * 64
