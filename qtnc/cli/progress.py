"""Progress on a terminal: a bar a stage, with the time that is left. Off a terminal there is none."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from qtnc.errors import printable, visible
from qtnc.work.cache import default_cache
from qtnc.work.work import Progress, Work

PLAIN = "{desc}"
MEASURED = "{desc} {percentage:3.0f}% |{bar:30}| {elapsed} so far, {remaining} left{postfix}"


@contextmanager
def work_of(options: argparse.Namespace) -> Iterator[Work]:
    """How the command line asks for work to be run, its progress shown for as long as the block lasts."""
    bar = _Bar()
    try:
        yield Work(options.jobs, None if options.no_cache else default_cache(), bar.show)
    finally:
        bar.close()


def say(line: str) -> None:
    """Print a message, above the bar where there is one."""
    tqdm.write(line, file=sys.stderr)


class _Bar:
    """One line of the terminal."""

    def __init__(self) -> None:
        self._bar = tqdm(total=1.0, disable=None, leave=False, file=sys.stderr, bar_format=PLAIN)
        self._stage = ""

    def show(self, progress: Progress) -> None:
        """Show how far it is; a listener of :class:`qtnc.work.work.Work`."""
        if progress.note:
            say(f"note: {visible(progress.note)}")
            return
        if progress.stage != self._stage:
            self._stage = progress.stage
            self._bar.reset()
        parts = f" {progress.done}/{progress.total}" if progress.total else ""
        self._bar.bar_format = MEASURED if progress.total else PLAIN
        self._bar.set_description_str(f"{printable(progress.stage)}{parts}", refresh=False)
        self._bar.set_postfix_str(printable(progress.layer, 40), refresh=False)
        self._bar.update(progress.share - self._bar.n)
        self._bar.refresh()

    def close(self) -> None:
        """Leave the line as it was."""
        self._bar.close()
