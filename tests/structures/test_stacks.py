"""One structure for a stack of weights: what is proposed holds for all of them together, and one of one is a matrix."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qtnc.planner.baselines import baselines_of
from qtnc.structures.circuit import Circuits
from qtnc.structures.lowrank import LowRank
from qtnc.structures.mpo import Mpo
from qtnc.structures.structure import MisfitError, Part, Problem, Stack, Structure, parameters_of, stacked

Array = NDArray[Any]

SLACK = 1e-9
"""What float64 loses over these fits."""

SQUARE_SLACK = 1e-13
"""The same of a squared relative error: where that is near 0, it is a difference of numbers near 1."""

STRUCTURES = [
    LowRank(rank=2),
    LowRank(error=0.3),
    LowRank(bytes=0.4),
    Mpo(sites=2, max_bond=3),
    Mpo(sites=3, error=0.4),
    Mpo(sites=2, cutoff=0.5),
    Mpo(bytes=0.5),
    Mpo(error=0.5, max_bond=4),
]

kinds = st.lists(st.sampled_from(["dense", "thin", "sparse", "zero"]), min_size=1, max_size=3)
metrics = st.sampled_from(["none", "full", "singular", "steep", "shared", "zero"])
sizes = st.integers(1, 9)


def stack_of(kinds: list[str], metric: str, shape: tuple[int, int], make: Any, covary: Any, seed: int) -> Stack:
    weights = np.stack([(k + 1) * make(kind, *shape, seed + k) for k, kind in enumerate(kinds)])
    if metric == "shared":
        return Stack(weights, covary("full", shape[0], seed))
    found = [covary(metric, shape[0], seed + k) for k in range(len(kinds))]
    return Stack(weights, None if metric == "none" else np.stack(found))


def lost(stack: Stack, structure: Structure) -> float:
    """Relative error of all fits together, by numpy."""
    fits = np.stack([structure.dense(structure.fit(one), one.shape) for one in stack.slices])
    metric = np.eye(stack.shape[0]) if stack.covariances is None else stack.covariances
    apart, whole = stack.weights - fits, stack.weights.astype(np.float64)
    squares = [
        np.einsum("smn,smk,skn->", a, np.broadcast_to(metric, (len(a), *metric.shape[-2:])), a) for a in (apart, whole)
    ]
    return float(np.sqrt(max(squares[0], 0.0) / squares[1])) if squares[1] > 0.0 else float(squares[0] > 1e-18)


@given(structure=st.sampled_from(STRUCTURES), kinds=kinds, metric=metrics, m=sizes, n=sizes, seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_what_is_proposed_holds_for_the_whole_stack(
    structure: Structure,
    kinds: list[str],
    metric: str,
    m: int,
    n: int,
    seed: int,
    make_weight: Callable[..., Array],
    make_covariance: Callable[..., Array],
) -> None:
    stack = stack_of(kinds, metric, (m, n), make_weight, make_covariance, seed)
    proposal = structure.propose(stack)
    assert lost(stack, proposal.structure) ** 2 <= proposal.predicted_error**2 + SQUARE_SLACK
    asked = getattr(structure, "error", None)
    if asked and getattr(structure, "max_bond", None) is None:
        assert proposal.predicted_error <= asked + SLACK


@given(structure=st.sampled_from(STRUCTURES), kind=kinds.map(lambda k: k[0]), m=sizes, n=sizes, seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_a_stack_of_one_is_decided_as_its_matrix(
    structure: Structure, kind: str, m: int, n: int, seed: int, make_weight: Callable[..., Array]
) -> None:
    weight = make_weight(kind, m, n, seed)
    one, several = structure.propose(Problem(weight)), structure.propose(Stack(weight[None]))
    assert one.structure.settled() == several.structure.settled()
    assert one.predicted_error == pytest.approx(several.predicted_error, abs=SLACK)


def test_baselines_are_those_of_the_whole_stack() -> None:
    weights = np.random.default_rng(0).standard_normal((3, 8, 6)) * np.array([1.0, 5.0, 0.2])[:, None, None]
    found = baselines_of(Stack(weights), 2 * (8 + 6))
    values = np.linalg.svd(weights, compute_uv=False)
    assert found.svd == pytest.approx(np.sqrt((values[:, 2:] ** 2).sum() / (values**2).sum()))
    singles = [baselines_of(Problem(weight), 2 * (8 + 6)).int8 for weight in weights]
    norms = np.linalg.norm(weights, axis=(1, 2))
    assert found.int8 == pytest.approx(np.linalg.norm(singles * norms) / np.linalg.norm(norms))
    assert found.whitened_svd is None


def test_parts_are_counted_over_the_stack_and_circuits_have_none() -> None:
    single = LowRank(rank=2).parts((8, 6))
    assert stacked(single, ()) == single
    assert parameters_of(stacked(single, (3, 2))) == 6 * parameters_of(single)
    around = Circuits(inner=Mpo(sites=2, max_bond=2))
    with pytest.raises(MisfitError, match="circuits surround one matrix"):
        around.propose(Stack(np.ones((2, 4, 4))))
    parts = around.propose(Problem(np.eye(4))).structure.parts((4, 4))
    with pytest.raises(ValueError, match="circuits are not stacked"):
        stacked(tuple(part for part in parts if isinstance(part, Part)), (2,))
