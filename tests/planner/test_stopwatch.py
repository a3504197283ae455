"""Two calls are timed in turn, and told apart as far as the clock and the noise allow."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtnc.planner import stopwatch
from qtnc.planner.stopwatch import FEWEST, alternate


class Clock:
    """A clock that calls move forward by the seconds that they are given, in turn; then by the last of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.order = 0.0, ""
        monkeypatch.setattr(stopwatch, "perf_counter", lambda: self.now)

    def call(self, name: str, seconds: list[float]) -> Callable[[], None]:
        left = iter(seconds)

        def run() -> None:
            self.order += name
            self.now += next(left, seconds[-1])

        return run


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_the_first_round_warms_up_and_medians_count(clock: Clock) -> None:
    dense, ours = clock.call("d", [90.0, 1, 5, 2, 4, 3]), clock.call("o", [9.0, 30, 10, 20, 50, 40])
    found = alternate(dense, ours, 0.0)
    assert (found.first, found.second) == (3.0, 30.0)
    assert clock.order == "do" * (1 + FEWEST)
    ratios = np.divide([30, 10, 20, 50, 40], [1, 5, 2, 4, 3])
    low, high = np.percentile(ratios, (25, 75))
    assert found.noise == pytest.approx(1.57 * (high - low) / 5**0.5)


def test_it_goes_on_while_there_is_time(clock: Clock) -> None:
    found = alternate(clock.call("d", [4.0]), clock.call("o", [6.0]), 95.0)
    assert (found.first, found.second, found.noise) == (4.0, 6.0, 0.0)
    assert clock.order == "do" * 10


def test_slow_calls_are_made_once_more_at_least(clock: Clock) -> None:
    found = alternate(clock.call("d", [100.0, 50.0]), clock.call("o", [100.0, 20.0]), 1.0, fewest=1)
    assert (found.first, found.second, found.noise) == (50.0, 20.0, None)
    assert clock.order == "dodo"


def test_a_clock_too_coarse_tells_nothing(clock: Clock) -> None:
    assert alternate(clock.call("d", [0.0]), clock.call("o", [0.0]), 0.0).noise is None
    assert alternate(clock.call("d", [1.0, 1, 0]), clock.call("o", [1.0]), 0.0).noise is None


@given(scale=st.floats(1e-6, 10.0), times=st.lists(st.floats(0.5, 2.0), min_size=6, max_size=6))
def test_noise_is_that_of_a_ratio(scale: float, times: list[float]) -> None:
    """A slow machine has the noise of a fast one, and what falls on both alike is none."""
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock(patch)
        both = alternate(clock.call("d", times), clock.call("o", [2.0 * time for time in times]), 0.0)
        assert both.noise == pytest.approx(0.0, abs=1e-9)
        plain = alternate(clock.call("d", [1.0]), clock.call("o", times), 0.0)
        scaled = alternate(clock.call("d", [scale]), clock.call("o", [scale * time for time in times]), 0.0)
        assert scaled.noise == pytest.approx(plain.noise, rel=1e-3, abs=1e-6)
