"""Work: the same outcomes in the same order, however they are run; nothing done twice."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from qtnc.errors import WorkError
from qtnc.work.cache import Cache
from qtnc.work.unit import Outcome, Task, Unit
from qtnc.work.work import Progress, Work

NUMBERS = (5.0, 1.0, 4.0, 1.5, 3.0)


@pytest.fixture
def tasks(sums: ModuleType, tmp_path: Path) -> Callable[..., list[Task]]:
    (tmp_path / "marks").mkdir()

    def make(numbers: tuple[float, ...] = NUMBERS) -> list[Task]:
        def unit(n: float) -> Callable[[], Unit]:
            return lambda: sums.Sum(sums.of(n), n, str(tmp_path / "marks"))

        return [Task(f"layer {n}", n, unit(n)) for n in numbers]

    return make


def marks(tmp_path: Path) -> list[str]:
    return sorted(path.name.rpartition("-")[0] for path in (tmp_path / "marks").iterdir())


def content(outcomes: list[Outcome]) -> list[Any]:
    return [(o.facts, [(a.dtype, a.shape, a.tobytes()) for a in o.arrays]) for o in outcomes]


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_outcomes_are_those_of_the_units_in_order(
    jobs: int, cached: bool, tasks: Callable[..., list[Task]], tmp_path: Path
) -> None:
    work = Work(jobs, Cache(tmp_path / "cache") if cached else None)
    for _ in range(2):
        found = list(work.run("sums", tasks()))
        assert [o.facts["number"] for o in found] == list(NUMBERS)
        assert {o.facts["threads"] for o in found} == {1}
        for number, outcome in zip(NUMBERS, found, strict=True):
            np.testing.assert_array_equal(outcome.arrays[0], np.full((3, 2), 2 * number, np.float32))
    assert marks(tmp_path) == sorted(map(str, NUMBERS * (1 if cached else 2)))


def test_only_what_is_new_is_run(tasks: Callable[..., list[Task]], tmp_path: Path) -> None:
    work = Work(1, Cache(tmp_path / "cache"))
    list(work.run("sums", tasks((1.0, 2.0))))
    list(work.run("sums", tasks((2.0, 3.0, 1.0, 3.0))))
    assert marks(tmp_path) == ["1.0", "2.0", "3.0"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_was_done_before_a_failure_is_kept(
    jobs: int, tasks: Callable[..., list[Task]], sums: ModuleType, tmp_path: Path
) -> None:
    work = Work(jobs, Cache(tmp_path / "cache"))
    failing = [*tasks((1.0, 2.0)), Task("bad", 1.0, lambda: sums.Failing("it is bad"))]
    outcomes = work.run("sums", failing)
    with pytest.raises(ValueError, match="it is bad"):
        list(outcomes)
    assert len(list(work.run("sums", tasks((1.0, 2.0))))) == 2
    assert marks(tmp_path) == ["1.0", "2.0"]


def test_a_worker_that_ends_is_said(sums: ModuleType) -> None:
    dying = [Task("a", 1.0, lambda: sums.Dying(1)), Task("b", 1.0, lambda: sums.Dying(2))]
    with pytest.raises(WorkError, match="one of 2 worker processes ended"):
        list(Work(2).run("dying", dying))


def test_progress_is_told(tasks: Callable[..., list[Task]]) -> None:
    told: list[Progress] = []
    list(Work(1, None, told.append).run("sums", tasks((1.0, 3.0))))
    assert told == [
        Progress("sums", "", 0, 2, 0.0),
        Progress("sums", "layer 1.0", 1, 2, 0.25),
        Progress("sums", "layer 3.0", 2, 2, 1.0),
    ]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_cache_that_cannot_be_written_is_said_and_stops_nothing(
    jobs: int, tasks: Callable[..., list[Task]], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    told: list[Progress] = []
    folder = tmp_path / "file" / "cache"
    found = list(Work(jobs, Cache(folder), told.append).run("sums", tasks()))
    assert content(found) == content(list(Work().run("sums", tasks())))
    assert told[-1].note == f"5 of 5 results could not be kept in {folder}"


def test_no_tasks_are_no_outcomes(tmp_path: Path) -> None:
    for work in (Work(), Work(2), Work(2, Cache(tmp_path))):
        assert list(work.run("nothing", [])) == []


def test_the_cache_is_bounded_after_each_run(tasks: Callable[..., list[Task]], tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    cache.bound(1)
    found = list(Work(1, cache).run("sums", tasks()))
    assert content(found) == content(list(Work().run("sums", tasks())))
    assert cache.sizes() == {}
