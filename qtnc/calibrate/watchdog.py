"""One thread that ends runs of onnxruntime which take too long: one thread a run would take longer than many runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from time import monotonic, sleep

import onnxruntime

BETWEEN = 0.1
"""Seconds between two looks."""


class Watchdog:
    """Watches runs, each from its beginning to its end."""

    def __init__(self) -> None:
        self._due: dict[int, tuple[float, onnxruntime.RunOptions]] = {}
        self._thread: Thread | None = None

    @contextmanager
    def over(self, run: onnxruntime.RunOptions, seconds: float) -> Iterator[None]:
        """Ask the run to terminate unless the block ends within so many seconds."""
        self._due[id(run)] = monotonic() + seconds, run
        if self._thread is None or not self._thread.is_alive():  # a fork has none
            self._thread = Thread(target=self._look, daemon=True, name="watchdog of runs")
            self._thread.start()
        try:
            yield
        finally:
            del self._due[id(run)]

    def _look(self) -> None:
        while True:
            for due, run in list(self._due.values()):
                if monotonic() > due:
                    run.terminate = True
            sleep(BETWEEN)


WATCHDOG = Watchdog()
"""That of this process."""
