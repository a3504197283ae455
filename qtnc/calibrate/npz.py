"""Arrays of an ``.npz`` file, read one by one and never before it is known how large they are."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from qtnc.errors import printable
from qtnc.tensor.memory import available, size

MOST_NAMED: Final = 8
"""Arrays that a message names."""

HEADERS: Final = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


class Archive:
    """An open file: the names of its arrays, what each claims to be, and the arrays."""

    def __init__(self, held: "np.lib.npyio.NpzFile") -> None:
        self._held = held
        self.names = tuple(held.files)

    @property
    def listed(self) -> str:
        """Names of the arrays, for a message."""
        shown = [printable(name) for name in self.names[:MOST_NAMED]]
        more = len(self.names) - len(shown)
        return ", ".join([*shown, *([f"{more:,} more"] if more else [])]) or "no arrays"

    def claim(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Shape and type of an array as its header says, nothing of it being read.

        Raises
        ------
        ValueError
            If the header is none.
        """
        members = self._held.zip
        assert members is not None  # noqa: S101 - it is open
        with members.open(f"{name}.npy" if f"{name}.npy" in members.namelist() else name) as member:
            version = npy.read_magic(member)
            if version not in HEADERS:
                raise ValueError(f"array `{printable(name)}` is in version {version} of the format")
            shape, _, dtype = HEADERS[version](member)
        return shape, dtype

    def read(self, name: str) -> NDArray[np.generic]:
        """An array.

        Raises
        ------
        ValueError
            If it is damaged, or larger than the memory that is available: a small file may claim any size.
        """
        shape, dtype = self.claim(name)
        needed, have = prod(shape) * dtype.itemsize, available()
        if needed > have:
            raise ValueError(f"array `{printable(name)}` takes {size(needed)}; {size(have)} of memory are available")
        return np.asarray(self._held[name])


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Open a file; whatever damage leads to is raised as numpy, zipfile and zlib raise it."""
    with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
        yield Archive(held)
