"""What a report of a bug needs, in a folder: the command, what went wrong, the versions, the files it read."""

import argparse
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from qtnc import __version__

LARGEST = 64 << 20
"""Bytes of a file that is copied; of larger ones the name and the size are told."""

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
    for path in _files(options):
        size = path.stat().st_size
        if size <= LARGEST:
            shutil.copyfile(path, folder / f"{len(lines)}-{path.name[-80:]}")
        lines.append(f"{path.name!r}, {size:,} bytes" + ("" if size <= LARGEST else ", too large to be copied"))
    (folder / "command.txt").write_text("\n".join(lines) + "\n", encoding="utf-8", errors="backslashreplace")


def _versions() -> Iterator[str]:
    yield f"qtnc {__version__}, Python {sys.version.split()[0]}, {sys.platform}, {os.cpu_count()} cores"
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            yield f"{name} {version(name)}"


def _files(options: argparse.Namespace) -> Iterator[Path]:
    """Files that the command was given."""
    for value in vars(options).values():
        if isinstance(value, Path) and value.is_file():
            yield value
