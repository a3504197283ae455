"""The page about testing: its blocks run, in order, and it names what the package has."""

import re
from pathlib import Path
from typing import Any

import pytest

import qtnc.testing

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_every_block_runs(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.folder)
    namespace: dict[str, Any] = {"__name__": "page"}
    for block in BLOCKS:
        exec(compile(block, "docs/testing.md", "exec"), namespace)  # noqa: S102 - our own page


def test_everything_public_is_named() -> None:
    assert all(f"`{name}" in PAGE or f"{name}(" in PAGE for name in qtnc.testing.__all__)
