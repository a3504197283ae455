"""Outcomes on disk, by the digest of their unit: found again by the next run, bounded, cleared by `qtnc cache`.

An entry is a folder of ``facts.json`` and arrays as numpy writes them, nothing that is executed on reading. It appears
by a rename, whole or not at all, and is read only where the hashes in ``facts.json`` are those of its arrays.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from qtnc.errors import Diagnostic, WorkError
from qtnc.work.files import sha256
from qtnc.work.unit import Outcome

FORMAT = "1"
FACTS = "facts.json"
LIMIT_FILE = "limit"
LIMIT = 10 << 30
"""Bytes that entries may take where nobody has said otherwise."""

_HALF = {"bfloat16": ml_dtypes.bfloat16}
"""Element types that numpy's own files do not know; they are kept as the integers of their bits."""


@dataclass(frozen=True)
class Cache:
    """A folder of outcomes."""

    folder: Path

    def __contains__(self, key: str) -> bool:
        """Whether there is an entry; :meth:`get` may still find it damaged."""
        return (self._entry(key) / FACTS).is_file()

    def get(self, key: str) -> Outcome | None:
        """The outcome kept under a digest, its arrays mapped from disk; None where there is none, or a damaged one."""
        entry = self._entry(key)
        try:
            content = json.loads((entry / FACTS).read_text(encoding="utf-8"))
            arrays = tuple(_load(entry / f"{k}.npy", kept) for k, kept in enumerate(content["arrays"]))
            os.utime(entry)  # the least recently used go first
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            shutil.rmtree(entry, ignore_errors=True)
            return None
        return Outcome(content["facts"], arrays)

    def put(self, key: str, outcome: Outcome) -> None:
        """Keep an outcome; of two that come at once one stays, and they are the same.

        Where the folder cannot be written nothing is kept, and nothing is lost but time: ``key in cache`` tells.
        """
        entry = self._entry(key)
        with suppress(OSError):
            entry.parent.mkdir(parents=True, exist_ok=True)
            aside = Path(tempfile.mkdtemp(prefix=".", dir=entry.parent))
            try:
                arrays = [_save(aside / f"{k}.npy", array) for k, array in enumerate(outcome.arrays)]
                content = json.dumps({"facts": outcome.facts, "arrays": arrays})
                (aside / FACTS).write_text(content, encoding="utf-8")
                os.rename(aside, entry)  # refused where another process was first
            finally:
                shutil.rmtree(aside, ignore_errors=True)

    @property
    def limit(self) -> int:
        """Bytes that entries may take."""
        try:
            return max(0, int((self.folder / LIMIT_FILE).read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return LIMIT

    def bound(self, limit: int) -> None:
        """Allow so many bytes from now on.

        Raises
        ------
        WorkError
            If the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / LIMIT_FILE).write_text(f"{limit}\n", encoding="utf-8")
        except OSError as error:
            message = f"cannot be written: {error.strerror or error}"
            raise WorkError(
                Diagnostic(message, place=str(self.folder), help="name another folder by QTNC_CACHE_DIR")
            ) from error
        self.trim()

    def sizes(self) -> dict[Path, int]:
        """Bytes of every entry, the least recently used first."""
        found: list[tuple[float, Path, int]] = []
        for entry in self._entries():
            try:
                found.append((entry.stat().st_mtime, entry, sum(f.stat().st_size for f in entry.iterdir())))
            except OSError:
                continue  # dropped meanwhile by another process
        return {entry: size for _, entry, size in sorted(found)}

    def trim(self, limit: int | None = None) -> None:
        """Drop entries until the rest is within the limit, the least recently used first."""
        allowed, sizes = self.limit if limit is None else limit, self.sizes()
        total = sum(sizes.values())
        for entry, size in sizes.items():
            if total <= allowed:
                break
            shutil.rmtree(entry, ignore_errors=True)
            total -= size

    def clear(self) -> None:
        """Drop all entries."""
        shutil.rmtree(self.folder / FORMAT, ignore_errors=True)

    def _entry(self, key: str) -> Path:
        return self.folder / FORMAT / key[:2] / key

    def _entries(self) -> Iterator[Path]:
        """Entries, and what writers that were killed left of one."""
        yield from (entry for entry in (self.folder / FORMAT).glob("*/*") if entry.is_dir())


def default_cache() -> Cache:
    """The user's cache: ``QTNC_CACHE_DIR``, or where the system keeps caches."""
    named = os.environ.get("QTNC_CACHE_DIR")
    return Cache(Path(named) if named else user_cache_path("qtnc", appauthor=False))


def _save(path: Path, array: NDArray[Any]) -> dict[str, str]:
    name = array.dtype.name
    np.save(path, array.view(np.uint16) if name in _HALF else array, allow_pickle=False)
    return {"dtype": name, "sha256": sha256(path)}


def _load(path: Path, kept: dict[str, str]) -> NDArray[Any]:
    if sha256(path) != kept["sha256"]:
        raise ValueError("damaged")
    array: NDArray[Any] = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    return array.view(_HALF[kept["dtype"]]) if kept["dtype"] in _HALF else array
