"""How far two models are apart, against numpy on all samples at once."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qtnc.calibrate.data import Feed
from qtnc.verify.compare import Runner, relative_errors, worst

Array = NDArray[Any]

INF = float("inf")
NAN = float("nan")


def gives(**outputs: Array) -> Runner:
    """A model that answers the same whatever it is fed."""
    return lambda feed: outputs


def error(truth: Array, value: Array) -> float:
    """Error of one output on one feed."""
    return relative_errors(gives(y=truth), {"other": gives(y=value)}, [{}])["other"]["y"]


def picks(key: str) -> Runner:
    """A model that returns one of its inputs."""
    return lambda feed: {"y": feed[key]}


@given(
    batches=st.lists(st.integers(1, 7), min_size=1, max_size=5),
    features=st.lists(st.integers(1, 5), max_size=2),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    scale=st.floats(1e-3, 1e3),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=80, deadline=None)
def test_it_is_one_norm_over_all_batches(
    batches: list[int], features: list[int], dtype: type[Any], scale: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    a, b = (rng.standard_normal((2, sum(batches), *features)) * scale).astype(dtype)
    cuts = np.cumsum(batches)[:-1]
    feeds: list[Feed] = [{"a": x, "b": y} for x, y in zip(np.split(a, cuts), np.split(b, cuts), strict=True)]
    found = relative_errors(picks("a"), {"b": picks("b"), "a": picks("a")}, feeds)
    wide, other = a.astype(np.float64), b.astype(np.float64)
    # Squares are summed in double, in another order than numpy does: some 1e-16 for each of at most 900 terms.
    want = np.linalg.norm(wide - other) / np.linalg.norm(wide)
    assert found == {"b": {"y": pytest.approx(want, rel=1e-12)}, "a": {"y": 0.0}}


@given(
    counts=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    dtype=st.sampled_from([np.int64, np.uint8, np.bool_]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=40, deadline=None)
def test_of_integers_it_is_the_share_that_differs(counts: list[int], dtype: type[Any], seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = [rng.integers(0, 2, (2, count)).astype(dtype) for count in counts]
    found = relative_errors(picks("a"), {"b": picks("b")}, [{"a": a, "b": b} for a, b in pairs])
    assert found["b"]["y"] == sum(int(np.sum(a != b)) for a, b in pairs) / sum(counts)


@pytest.mark.parametrize(
    ("truth", "value", "want"),
    [
        ([1.0, 2.0], [1.0, NAN], INF),
        ([1.0, NAN], [1.0, 2.0], INF),
        ([1.0, NAN], [1.0, NAN], INF),
        ([1.0, INF], [1.0, 2.0], INF),
        ([1.0, 2.0], [1.0, -INF], INF),
        ([1.0, INF], [1.0, -INF], INF),
        ([0.0, 0.0], [0.0, 0.0], 0.0),
        ([0.0, 0.0], [0.0, 1e-30], INF),
        ([], [], 0.0),
        ([-INF, INF], [-INF, INF], 0.0),
        # A mask's infinities are equal, and leave the rest to be measured.
        ([-INF, 3.0, 4.0], [-INF, 3.0, 3.0], 0.2),
        # Squares end at 1.8e308: nothing is said of what they cannot hold, unless all is equal.
        ([1e200, 1e200], [1e200, 1e200], 0.0),
        ([1e200, 1.0], [1e200, 1.1], INF),
        ([1.0, 1.0], [1e200, 1.0], INF),
        ([1e308], [-1e308], INF),
    ],
)
def test_what_is_not_finite(truth: list[float], value: list[float], want: float) -> None:
    assert error(np.array(truth), np.array(value)) == pytest.approx(want, rel=1e-15)


@pytest.mark.parametrize(
    "value",
    [np.ones((3, 2)), np.ones((2, 3, 1)), np.ones(6), np.ones((2, 3), np.float32), np.ones((2, 3), np.int64)],
    ids=lambda value: f"{value.dtype}{list(value.shape)}",
)
def test_another_shape_or_type_is_infinitely_far(value: Array) -> None:
    assert error(np.ones((2, 3)), value) == INF
    assert error(value, np.ones((2, 3))) == INF


def test_one_bad_batch_is_not_forgotten() -> None:
    good, bad = np.ones((2, 3)), np.ones((2, 4))
    for batches in ([good, bad, good], [bad, good]):
        feeds: list[Feed] = [{"a": good, "b": batch} for batch in batches]
        assert relative_errors(picks("a"), {"b": picks("b")}, feeds)["b"]["y"] == INF


def test_outputs_are_those_of_the_original() -> None:
    y, z = np.ones(3), np.arange(4)
    others: Mapping[str, Runner] = {"less": gives(y=y), "more": gives(y=y, z=z, extra=y), "swapped": gives(z=y, y=z)}
    found = relative_errors(gives(y=y, z=z), others, [{}])
    assert found == {"less": {"y": 0.0, "z": INF}, "more": {"y": 0.0, "z": 0.0}, "swapped": {"y": INF, "z": INF}}


def test_the_original_runs_once_for_all_others() -> None:
    fed: list[str] = []

    def noted(name: str) -> Runner:
        def run(feed: Feed) -> dict[str, Array]:
            fed.append(name)
            return {"y": feed["x"]}

        return run

    feeds: list[Feed] = [{"x": np.ones(2)}] * 2
    assert relative_errors(noted("original"), {"a": noted("a"), "b": noted("b")}, feeds)["b"] == {"y": 0.0}
    assert fed == ["original", "a", "b"] * 2


def test_the_worst() -> None:
    assert worst({"y": 0.1, "z": 0.3}) == 0.3
    assert worst([0.1, INF]) == INF
    assert worst({}) == worst([]) == 0.0
