"""One file, which appears whole or not at all."""

import os
import tempfile
from pathlib import Path

from qtnc.errors import Diagnostic, OutputError


def write_text(path: Path, text: str) -> None:
    """Write a file in the place of what is there, if anything.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".qtnc-", dir=path.parent) as folder:
            aside = Path(folder) / "file"
            aside.write_text(text, encoding="utf-8")
            os.replace(aside, path)
    except OSError as error:
        raise OutputError(Diagnostic(f"cannot be written: {error.strerror or error}", place=str(path))) from error
