"""Which model a spec is about, and what it tells: read once, in a process of its own, while typing goes on."""

import asyncio
import re
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from os import killpg
from pathlib import Path
from typing import Final

import msgspec

from qtnc.errors import printable
from qtnc.lsp.told import ToldModel
from qtnc.source import Source, Span

COMMENT: Final = re.compile(r"#\s*model\s*:\s*(?P<path>\S(?:.*\S)?)")
"""How a comment above the first statements names the model."""

ENDING: Final = ".onnx"
SEARCHED: Final = 20
"""Lines of a spec in which the comment may stand."""

SECONDS: Final = 120
"""After which a model is given up."""

KEPT: Final = 8
"""Models that are kept."""

LONGEST_REASON: Final = 500


class NoModelError(Exception):
    """There is no model, or it cannot be read; the message says why."""


@dataclass(frozen=True)
class Bound:
    """The file of a model, and the comment that names it, where one does."""

    path: Path
    span: Span | None = None


def bound(source: Source, folder: Path, setting: Path | None) -> Bound | None:
    """Find the model of a spec in a folder: what its comment names, else the setting, else the only one beside it.

    The path of a comment starts at the folder of the spec, that of the setting where it may.

    Raises
    ------
    NoModelError
        The comment names something else.
    """
    for number in range(1, min(SEARCHED, len(source.line_starts)) + 1):
        line = source.line(number).strip()
        if found := COMMENT.fullmatch(line):
            start = source.line_starts[number - 1] + source.line(number).index(found["path"])
            span = Span(source, start, start + len(found["path"]))
            if Path(found["path"]).is_absolute() or not found["path"].endswith(ENDING):
                raise NoModelError(f"a comment names a model by a relative path that ends in `{ENDING}`")
            return Bound(folder / found["path"], span)
    if setting is not None:
        return Bound(setting)
    with suppress(OSError, ValueError):
        beside = [path for path in folder.iterdir() if path.name.endswith(ENDING) and path.is_file()]
        return Bound(beside[0]) if len(beside) == 1 else None
    return None


class Models:
    """Models that were read, by their files as these were then."""

    def __init__(self) -> None:
        self._tasks: dict[tuple[Path, int, int], asyncio.Task[ToldModel | NoModelError]] = {}

    async def read(self, path: Path) -> ToldModel:
        """What the model in a file tells.

        Raises
        ------
        NoModelError
            It cannot be read, or not in time.
        """
        try:
            stat = path.stat()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise NoModelError(f"`{printable(path.name)}` cannot be read: {reason.lower()}") from error
        key = (path, stat.st_mtime_ns, stat.st_size)
        if key not in self._tasks:
            while len(self._tasks) >= KEPT:
                self._tasks.pop(next(iter(self._tasks))).cancel()
            self._tasks[key] = asyncio.create_task(_told(path))
        answer = await asyncio.shield(self._tasks[key])  # who asked may go, and the next one asks again
        if isinstance(answer, NoModelError):
            raise answer
        return answer


async def _told(path: Path) -> ToldModel | NoModelError:
    shown = printable(path.name)
    # -P: nothing is imported from where we are. A session of its own, so that all of it can be ended.
    command = (sys.executable, "-P", "-m", "qtnc.lsp.telling", str(path.absolute()))
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *command, stdin=nothing, stdout=pipe, stderr=pipe, start_new_session=True
    )
    try:
        out, said = await asyncio.wait_for(process.communicate(), SECONDS)
    except TimeoutError:
        return NoModelError(f"`{shown}` is not read within {SECONDS} seconds")
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                killpg(process.pid, signal.SIGKILL)
            await process.wait()  # else the loop may be closed before it hears of the end, and complains
    if process.returncode:
        lines = said.decode("utf-8", "replace").strip().splitlines() or [f"exit code {process.returncode}"]
        return NoModelError(f"`{shown}` cannot be read: {printable(lines[-1], LONGEST_REASON)}")
    try:
        return ToldModel.decoded(out)
    except (msgspec.DecodeError, MemoryError) as error:
        return NoModelError(f"`{shown}` cannot be read: {printable(str(error), LONGEST_REASON)}")
