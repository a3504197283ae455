"""How units are run: side by side or one after the other, kept on disk or not. What comes of them is the same."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError

from qtnc.errors import Diagnostic, WorkError
from qtnc.tensor.threads import one_thread
from qtnc.work.cache import Cache
from qtnc.work.digest import digest
from qtnc.work.leaving import leave_with
from qtnc.work.unit import Outcome, Task, Unit


@dataclass(frozen=True)
class Progress:
    """How far a compile is.

    Attributes
    ----------
    stage : what is being done: a stage of the compile, or a pass by its name.
    layer : the layer that was done last; "" where none was, and in stages that have no parts.
    done, total : layers of the stage; both 0 in a stage that has no parts.
    share : of the stage's effort that is done, from 0 to 1.
    note : something that the user should know; "" for most.
    """

    stage: str
    layer: str = ""
    done: int = 0
    total: int = 0
    share: float = 0.0
    note: str = ""


Listener = Callable[[Progress], None]
"""Is told of progress."""


@dataclass(frozen=True)
class Work:
    """How to run units.

    Attributes
    ----------
    jobs : processes that work at a time; with 1 it is this one.
    cache : where outcomes are found and kept; None keeps none.
    listener : is told of progress.
    """

    jobs: int = 1
    cache: Cache | None = None
    listener: Listener | None = None

    def say(self, progress: Progress) -> None:
        """Tell the listener, where there is one."""
        if self.listener is not None:
            self.listener(progress)

    def run(self, stage: str, tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Outcomes of all tasks, in their order, each as soon as it is there.

        A task that fails raises, when its turn comes, what its unit raises.
        """
        whole = sum(task.effort for task in tasks) or 1.0
        spent = 0.0
        self.say(Progress(stage, total=len(tasks)))
        for done, (task, outcome) in enumerate(zip(tasks, self._outcomes(stage, tasks), strict=True), start=1):
            spent += task.effort
            self.say(Progress(stage, task.layer, done, len(tasks), spent / whole))
            yield outcome

    def _outcomes(self, stage: str, tasks: Sequence[Task]) -> Iterator[Outcome]:
        if self.cache is None:
            yield from cast("Iterator[Outcome]", self._fresh([(task, None) for task in tasks]))
            return
        keys = [digest(task.unit()) for task in tasks]
        missing = [(task, key) for task, key in zip(tasks, keys, strict=True) if key not in self.cache]
        fresh, wanted = self._fresh(missing), {key for _, key in missing}
        for task, key in zip(tasks, keys, strict=True):
            outcome = next(fresh) if key in wanted else self.cache.get(key)
            yield outcome if outcome is not None else _worked(task.unit(), self.cache, key)
        if lost := sum(key not in self.cache for key in keys):
            self.say(Progress(stage, note=f"{lost} of {len(keys)} results could not be kept in {self.cache.folder}"))
        self.cache.trim()

    def _fresh(self, tasks: Sequence[tuple[Task, str | None]]) -> Iterator[Outcome | None]:
        """Outcomes of units that have to be run; None for what is in the cache by now."""
        if self.jobs == 1 or len(tasks) < 2:
            for task, key in tasks:
                yield _worked(task.unit(), self.cache, key)
            return
        jobs = min(self.jobs, len(tasks))
        told: dict[str, Any] = {"initializer": leave_with, "initargs": (os.getpid(),)}
        run = Parallel(jobs, "loky", return_as="generator", pre_dispatch="n_jobs", batch_size=1, **told)
        calls = (delayed(_worked_apart)(task.unit(), self.cache, key) for task, key in tasks)
        try:
            for (_, key), outcome in zip(tasks, run(calls), strict=True):
                kept = self.cache.get(key) if self.cache is not None and key is not None else None
                yield kept or cast("Outcome | None", outcome)
        except TerminatedWorkerError as error:
            message = f"one of {self.jobs} worker processes ended, perhaps because memory did"
            raise WorkError(Diagnostic(message, help="ask for fewer --jobs")) from error


def _worked(unit: Unit, cache: Cache | None, key: str | None) -> Outcome:
    """Run a unit, unless what comes of it is kept already, and keep it: from then on it is mapped from the cache."""
    if cache is None or key is None:
        return _run(unit)
    kept = cache.get(key)
    if kept is None:
        outcome = _run(unit)
        cache.put(key, outcome)
        kept = cache.get(key) or outcome
    return kept


def _run(unit: Unit) -> Outcome:
    with one_thread():
        return unit.run()


def _worked_apart(unit: Unit, cache: Cache | None, key: str | None) -> Outcome | None:
    """The same in another process; arrays that are in the cache need not travel."""
    outcome = _worked(unit, cache, key)
    return outcome if cache is None else None
