"""What a report of a bug needs, in a folder: the command, what went wrong, the versions, the files it read."""

import argparse
import os
import shlex
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from qtnc import __version__
from qtnc.plugins.loaded import loaded_files

LARGEST = 64 << 20
"""Bytes of a file that is copied; of larger ones the name and the size are told."""

OUTPUT = ("-o", "--output")
LIBRARIES = ("numpy", "scipy", "onnx", "onnx-ir", "onnxruntime", "torch", "qiskit")


def write_reproducer(error: BaseException, options: argparse.Namespace, arguments: Sequence[str]) -> Path | None:
    """Write the folder where we are, or where the system keeps what is temporary; None where neither can be written."""
    for place in (Path.cwd, tempfile.gettempdir):
        with suppress(OSError):
            folder = Path(tempfile.mkdtemp(prefix="qtnc-bug-", dir=place()))
            _write(folder, error, options, arguments)
            return folder
    return None


def _write(folder: Path, error: BaseException, options: argparse.Namespace, arguments: Sequence[str]) -> None:
    told = traceback.format_exception(error)
    (folder / "traceback.txt").write_text("".join(told), encoding="utf-8", errors="backslashreplace")
    lines = ["qtnc " + " ".join(map(repr, arguments)), "", *_versions(), ""]
    if further := smaller(options, arguments):
        lines += ["to make it small:", further, ""]
    for path in _files(options):
        size = path.stat().st_size
        if size <= LARGEST:
            shutil.copyfile(path, folder / f"{len(lines)}-{path.name[-80:]}")
        lines.append(f"{path.name!r}, {size:,} bytes" + ("" if size <= LARGEST else ", too large to be copied"))
    (folder / "command.txt").write_text("\n".join(lines) + "\n", encoding="utf-8", errors="backslashreplace")


def smaller(options: argparse.Namespace, arguments: Sequence[str]) -> str | None:
    """The command line of ``qtnc reduce`` that makes a failure small; None for commands that it does not know."""
    command, *rest = arguments
    given = {"compile": ("model", "spec"), "plan": ("model", "spec"), "check": ("model", "spec"), "opt": ("input",)}
    files = [getattr(options, name, None) for name in given.get(command, ())]
    if not files or not all(isinstance(file, Path) for file in files):
        return None
    more: list[str] = []
    used: list[str] = []
    for before, argument in zip(("", *rest), rest, strict=False):
        if before == "--use":
            used += ["--use", argument]
        elif before not in OUTPUT and argument not in ("--use", "--force", *map(str, files)):
            more += [] if argument.startswith(OUTPUT) else [argument]
    told = [f"--arguments={shlex.join(more)}"] if more else []
    return shlex.join(["qtnc", "reduce", *map(str, files), "-o", "small", "--command", command, *used, *told])


def _versions() -> Iterator[str]:
    yield f"qtnc {__version__}, Python {sys.version.split()[0]}, {sys.platform}, {os.cpu_count()} cores"
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            yield f"{name} {version(name)}"


def _files(options: argparse.Namespace) -> Iterator[Path]:
    """Files that the command was given, and Python files that it ran."""
    for value in vars(options).values():
        if isinstance(value, Path) and value.is_file():
            yield value
    yield from loaded_files()
