"""Files that a spec may name, as their paths are typed."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

from qtnc.plugins.file import ENDING as PYTHON
from qtnc.spec import tree
from qtnc.spec.check import READER
from qtnc.spec.include import ENDING

ENDINGS: Final = {tree.Include: ENDING, tree.Use: PYTHON, tree.Data: f".{READER}"}
"""How files end, by the statement that names them."""

LOOKED_AT: Final = 2000
"""Entries of a folder."""


def files_at(statement: type[Any], typed: str, folder: Path) -> Iterator[str]:
    """Paths from a folder that begin as typed: files that a statement may name, and folders, with a `/` behind.

    Includes and files that are used stay in the folder of their spec; data may lie elsewhere.
    """
    head = typed[: typed.rfind("/") + 1]
    root = Path(os.path.realpath(folder))
    try:
        place = Path(os.path.realpath(folder / head))
        if statement is not tree.Data and not place.is_relative_to(root):
            return
        with os.scandir(place) as entries:
            found = sorted(islice(entries, LOOKED_AT), key=lambda entry: entry.name)
        for entry in found:
            written = head + entry.name
            if entry.name.startswith(".") or '"' in written or not written.isprintable():
                continue
            if entry.is_dir():
                yield written + "/"
            elif entry.name.endswith(ENDINGS[statement]):
                yield written
    except (OSError, ValueError):
        return  # no such folder, or none that we may look into: there is nothing to offer
