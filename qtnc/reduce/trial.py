"""One trial: a command in a process of its own, how it ended, and whether that is the failure that is sought."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

LONGEST = 10_000
"""Characters of what a command says that are kept."""


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit code, negative where a signal ended it, None where it ran too long."""

    code: int | None
    said: str
    seconds: float = 0.0

    @property
    def shown(self) -> str:
        """The line that says what is wrong."""
        lines = [line for line in self.said.splitlines() if "error: " in line] or self.said.splitlines()[-1:]
        return lines[0].strip() if lines else ""

    @property
    def reason(self) -> str:
        """What it says is wrong, without its place, and with names and numbers left out."""
        told = self.shown.partition("error: ")[2] or self.shown
        return re.sub(r"[0-9]+(\.[0-9]+)?", "0", re.sub(r"`[^`]*`", "`_`", told)).strip()


@dataclass(frozen=True)
class Sought:
    """The failure that is sought: an exit code, and a text that is said, or a reason."""

    code: int | None
    match: str | None
    reason: str

    def is_met(self, outcome: Outcome) -> bool:
        """Whether a command ended in that failure."""
        if outcome.code != self.code:
            return False
        return self.match in outcome.said if self.match is not None else outcome.reason == self.reason


def run(arguments: Sequence[str], folder: Path, seconds: float) -> Outcome:
    """Run ``qtnc`` in a folder, and end it after so many seconds, with all that it began; trials share fits."""
    command = [sys.executable, "-P", "-m", "qtnc", *arguments]
    environment = {**os.environ, "QTNC_CACHE_DIR": str(folder.parent / "cache"), "NO_COLOR": "1"}
    process = subprocess.Popen(  # noqa: S603 - our own command
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="backslashreplace",
        start_new_session=True,
    )
    start = perf_counter()
    try:
        _, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        _end(process)
        return Outcome(None, "")
    except BaseException:
        _end(process)
        raise
    return Outcome(process.returncode, said[-LONGEST:].replace(f"{folder}/", ""), perf_counter() - start)


def _end(process: "subprocess.Popen[str]") -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
