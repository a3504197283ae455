"""Output folders appear whole or not at all: written beside, renamed into place."""

import ctypes
import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qtnc.errors import Diagnostic, OutputError

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextmanager
def staged(out: Path, *, force: bool = False) -> Iterator[Path]:
    """Give a fresh folder beside ``out`` and rename it to ``out`` when the block ends well.

    A folder left by a process that was killed is removed by the next run.

    Raises
    ------
    OutputError
        If ``out`` is a file, or a folder with something in it and ``force`` is not set, or cannot be written.
    """
    check_free(out, force=force)
    target = Path(os.path.abspath(out))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        folder = Path(tempfile.mkdtemp(prefix=_prefix(target), suffix=f"-{os.getpid()}", dir=target.parent))
        folder.chmod(0o755)
    except OSError as error:
        raise OutputError(Diagnostic(f"cannot write here: {error.strerror}", place=str(out))) from error
    try:
        yield folder
        check_free(out, force=force)
        _move_into_place(folder, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_free(out: Path, *, force: bool) -> None:
    """Refuse to write over a file, or over a folder with something in it unless forced."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise OutputError(Diagnostic("exists and is not a folder", place=str(out), help="choose another -o"))
    if not force and out.is_dir() and any(out.iterdir()):
        raise OutputError(
            Diagnostic("the folder is not empty", place=str(out), help="choose another -o, or add --force")
        )


def _move_into_place(folder: Path, target: Path) -> None:
    try:
        os.rename(folder, target)  # replaces nothing or an empty folder
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise OutputError(
                Diagnostic(f"cannot be renamed into place: {error.strerror}", place=str(target))
            ) from error
        if not _exchange(folder, target):
            # Between these two renames OUT is absent; what was there stays beside it until the next run.
            old = folder.with_name(folder.name + "-old")
            os.rename(target, old)
            os.rename(folder, target)
            shutil.rmtree(old, ignore_errors=True)


def _exchange(folder: Path, target: Path) -> bool:
    """Swap two folders in one step, where the system can."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    done = renameat2(_AT_FDCWD, os.fsencode(folder), _AT_FDCWD, os.fsencode(target), _RENAME_EXCHANGE)
    return bool(done == 0)


def _prefix(target: Path) -> str:
    return f".{target.name}.qtnc-"


def _sweep(target: Path) -> None:
    """Clear up after processes that no longer run: put back what a cut-off swap had moved aside, drop the rest."""
    pattern = re.compile(re.escape(_prefix(target)) + r".*-(\d+)(-old)?$")
    for entry in target.parent.iterdir():
        match = pattern.match(entry.name)
        if not match or not entry.is_dir() or _alive(int(match[1])):
            continue
        if match[2] and not target.exists():
            os.rename(entry, target)
        else:
            shutil.rmtree(entry, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
