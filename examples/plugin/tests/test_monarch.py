"""Monarch matrices: what is proposed is kept, planted ones are found, and no data is wasted."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qtnc_monarch import Monarch

from qtnc.structures.structure import MisfitError, Problem, Stack
from qtnc.testing import check_structure

SLACK = 1e-9
"""Rounding of a relative error in float64."""


def problem(rows: int, columns: int, seed: int, *, weighted: bool) -> Problem:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((4 * rows, rows)) * rng.uniform(0.1, 3.0, rows)
    return Problem(rng.standard_normal((rows, columns)), x.T @ x / len(x) if weighted else None)


def rebuilt(cores: tuple[Any, ...], shape: tuple[int, int]) -> Any:
    """The matrix tile by tile, from the definition alone."""
    left, right = cores
    blocks = len(left)
    grid = [[left[a, :, b] @ right[b, a] for b in range(blocks)] for a in range(blocks)]
    return np.block(grid)[: shape[0], : shape[1]]


shapes = st.integers(4, 24), st.integers(4, 24)


@given(*shapes, st.integers(1, 4), st.floats(0.01, 1.0), st.sampled_from(["bytes", "error"]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_what_is_proposed_is_kept(
    rows: int, columns: int, blocks: int, share: float, kind: str, weighted: bool
) -> None:
    wanted = problem(rows, columns, rows, weighted=weighted)
    asked = Monarch(blocks, **{kind: share})
    assert asked.check() is None
    proposal = asked.propose(wanted)
    cores = proposal.structure.fit(wanted)
    network = proposal.structure.parts(wanted.shape)[0].product
    assert tuple(core.shape for core in cores) == network.core_shapes
    matrix = rebuilt(cores, wanted.shape)
    np.testing.assert_allclose(proposal.structure.dense(cores, wanted.shape), matrix, atol=1e-10)
    assert wanted.error(matrix) <= proposal.predicted_error + SLACK
    rank = proposal.structure.settled()["rank"]
    if kind == "error":
        full = min(-(-rows // blocks), -(-columns // blocks))
        assert proposal.predicted_error <= share + SLACK or rank == full
        assert rank == 1 or Monarch(blocks, rank - 1).propose(wanted).predicted_error > share
    elif rank > 1:
        assert network.parameters <= share * rows * columns * (1 + SLACK)
    assert asked.settle(proposal.structure.settled(), wanted.shape, ()) == proposal.structure


@pytest.mark.parametrize("options", [{"rank": 2}, {"error": 0.5}, {"bytes": 0.6}])
def test_it_keeps_what_structures_promise(options: dict[str, Any]) -> None:
    check_structure(Monarch(3, **options), [(16, 24), (17, 11)])


@pytest.mark.parametrize("weighted", [False, True])
def test_a_planted_one_is_found(weighted: bool) -> None:
    rng = np.random.default_rng(0)
    cores = rng.standard_normal((3, 5, 3, 2)), rng.standard_normal((3, 3, 2, 4))
    found = Problem(rebuilt(cores, (14, 11)), problem(14, 11, 1, weighted=weighted).covariance)
    assert Monarch(3, 2).propose(found).predicted_error < SLACK


def test_without_data_every_tile_is_its_truncated_svd() -> None:
    wanted = problem(12, 8, 0, weighted=False)
    found = Monarch(2, 3).dense(Monarch(2, 3).fit(wanted), wanted.shape)
    for a, b in np.ndindex(2, 2):
        tile = np.s_[6 * a : 6 * a + 6, 4 * b : 4 * b + 4]
        u, s, v = np.linalg.svd(wanted.weight[tile])
        np.testing.assert_allclose(found[tile], (u[:, :3] * s[:3]) @ v[:3], atol=1e-10)
    np.testing.assert_allclose(Monarch(2, 3).project(wanted.weight), found, atol=1e-10)


def test_with_data_no_other_second_factor_is_better() -> None:
    wanted = problem(16, 12, 3, weighted=True)
    structure, rng = Monarch(4, 1), np.random.default_rng(0)
    left, right = structure.fit(wanted)
    best = wanted.error(rebuilt((left, right), wanted.shape))
    for size in (1e-3, 1e-1):
        moved = right + size * rng.standard_normal(right.shape)
        assert wanted.error(rebuilt((left, moved), wanted.shape)) > best
    plain = Monarch(4, 1).fit(Problem(wanted.weight))
    assert best < wanted.error(rebuilt(plain, wanted.shape))


def test_a_stack_has_one_rank() -> None:
    one = problem(8, 8, 0, weighted=True)
    assert one.covariance is not None
    stack = Stack(np.stack([one.weight, 2 * one.weight]), one.covariance)
    assert Monarch(2, error=0.3).propose(stack).structure == Monarch(2, error=0.3).propose(one).structure


@pytest.mark.parametrize("options", [{}, {"rank": 2, "bytes": 0.5}, {"rank": 1, "error": 0.1, "bytes": 0.5}])
def test_exactly_one_size_is_asked_for(options: dict[str, Any]) -> None:
    assert Monarch(**options).check() == "give one of `rank`, `bytes` and `error`"


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(MisfitError, match="9 blocks are more than a weight of 8x16"):
        Monarch(9, 1).propose(problem(8, 16, 0, weighted=False))
    with pytest.raises(MisfitError, match="rank 5 is more than the 4"):
        Monarch().settle({"blocks": 2, "rank": 5}, (8, 16), ())
    with pytest.raises(MisfitError, match="positive whole numbers"):
        Monarch().settle({"blocks": 2}, (8, 16), ())
