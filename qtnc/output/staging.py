"""Output folders appear whole or not at all: written beside, renamed into place."""

import ctypes
import errno
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from qtnc.errors import Diagnostic, OutputError

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextmanager
def staged(out: Path, *, force: bool = False) -> Iterator[Path]:
    """Give a fresh folder beside ``out`` and rename it to ``out`` when the block ends well.

    What a process that was killed left behind is cleared up by the next run.

    Raises
    ------
    OutputError
        If ``out`` is a file, or a folder with something in it and ``force`` is not set, if another process is writing
        it, or if anything cannot be written.
    """
    check_free(out, force=force)
    target = Path(os.path.abspath(out))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _only_writer(target):
            _clear_up(target)
            check_free(out, force=force)
            folder = target.with_name(_prefix(target) + secrets.token_hex(4))
            folder.mkdir()
            try:
                yield folder
                check_free(out, force=force)
                _move_into_place(folder, target)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise OutputError(Diagnostic(f"cannot be written: {error.strerror or error}", place=str(out))) from error


def check_free(out: Path, *, force: bool, name: str = "-o") -> None:
    """Refuse to write over a file, or over a folder with something in it unless forced; ``name`` is the option's."""
    try:
        taken = out.is_symlink() or (out.exists() and not out.is_dir())
        full = not taken and out.is_dir() and any(out.iterdir())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(Diagnostic(f"cannot be written: {reason}", place=str(out))) from error
    if taken:
        raise OutputError(Diagnostic("exists and is not a folder", place=str(out), help=f"choose another {name}"))
    if full and not force:
        raise OutputError(
            Diagnostic("the folder is not empty", place=str(out), help=f"choose another {name}, or add --force")
        )


def check_apart(out: Path, inputs: Iterable[Path]) -> None:
    """Refuse a folder that holds what the compile is made from: replacing the folder would delete it."""
    folder = Path(os.path.abspath(out)).resolve()
    inside = [path for path in inputs if path.resolve().is_relative_to(folder)]
    if inside:
        raise OutputError(*(Diagnostic("lies in the folder to be replaced", place=str(path)) for path in inside))


@contextmanager
def _only_writer(target: Path) -> Iterator[None]:
    """Hold the lock beside ``target``; the system lets go of it when the process ends, however it ends."""
    path = target.with_name(f"{_prefix(target)}lock")
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            busy = Diagnostic("another process is writing this folder", place=str(target), help="wait for it to end")
            raise OutputError(busy) from error
        except OSError:
            break  # a file system without locks: the worst of two writers is that one of them ends with an error
        if _is_at(descriptor, path):
            break
        os.close(descriptor)  # the one that held it before us has removed it
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _clear_up(target: Path) -> None:
    """Put back what a swap that was cut off had moved aside, and drop everything else of earlier writers."""
    old = _aside(target)
    if old.is_dir() and not target.exists():
        os.rename(old, target)
    ours = re.compile(re.escape(_prefix(target)) + "([0-9a-f]{8}|old)")
    for entry in target.parent.iterdir():
        if ours.fullmatch(entry.name) and entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)


def _move_into_place(folder: Path, target: Path) -> None:
    try:
        os.rename(folder, target)  # replaces nothing or an empty folder
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        if not _exchange(folder, target):
            # Between these two renames OUT is absent; what was there stays beside it until the next run.
            old = _aside(target)
            os.rename(target, old)
            try:
                os.rename(folder, target)
            except OSError:
                os.rename(old, target)
                raise
            shutil.rmtree(old, ignore_errors=True)


def _exchange(folder: Path, target: Path) -> bool:
    """Swap two folders in one step, where the system can."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    done = renameat2(_AT_FDCWD, os.fsencode(folder), _AT_FDCWD, os.fsencode(target), _RENAME_EXCHANGE)
    return bool(done == 0)


def _aside(target: Path) -> Path:
    return target.with_name(f"{_prefix(target)}old")


def _prefix(target: Path) -> str:
    return f".{target.name}.qtnc-"
