"""Python files that this process ran for a spec."""

from pathlib import Path
from typing import Final

LOADED: Final[dict[str, Path]] = {}
"""By the module that each became; the last one last."""


def forget_loaded() -> None:
    """Begin anew, as a command does: what an earlier one in this process ran is none of its own."""
    LOADED.clear()


def loaded_files() -> list[Path]:
    """Those that are still there."""
    return [path for path in dict.fromkeys(LOADED.values()) if path.is_file()]
