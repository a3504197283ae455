"""Packages that offer structures, as an installer would leave them."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a package of one module: its name, its entry points ``word = "module:Class"``, its source."""
    site = tmp_path / "site"
    site.mkdir()
    made: list[str] = []
    monkeypatch.syspath_prepend(site)

    def put(package: str, words: dict[str, str], source: str = "", version: str = "1.0") -> Path:
        module = package.replace("-", "_")
        made.append(module)
        info = site / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        entries = "".join(f"{word} = {target}\n" for word, target in words.items())
        (info / "entry_points.txt").write_text(f"[qtnc.structures]\n{entries}")
        (site / f"{module}.py").write_text(source)
        return site / f"{module}.py"

    yield put
    for module in made:
        sys.modules.pop(module, None)
