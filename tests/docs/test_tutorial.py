"""The tutorial followed as a script, from an empty folder: files written, commands run, what they print compared."""

import os
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
SOURCES = ("qtnc", "passes", "grammar", "pyproject.toml", "README.md", "LICENSE", "constraints.txt")

OFFLINE = {
    "PYTHONPATH": sysconfig.get_path("purelib"),  # what qtnc needs, and qtnc itself not: that is a checkout here
    "PIP_NO_INDEX": "1",
    "PIP_NO_DEPS": "1",
    "PIP_NO_BUILD_ISOLATION": "0",  # which is pip's way to say yes
}


def follow(folder: Path, environment: Mapping[str, str]) -> None:
    """Do what the page says, in one shell; each block of output holds the lines that the commands above it print."""
    script, wanted = ["set -e"], []
    found = runpy.run_path(str(Path(__file__).with_name("blocks.py")))
    for count, block in enumerate(found["blocks"](PAGE)):
        if file := re.fullmatch(r"In `([\w./]+)`:", block.before):
            script.append(f"cat > {file[1]} <<'END OF BLOCK'\n{block.text}END OF BLOCK")
        elif block.language == "sh":
            script.append(f"{{ {block.text} }} > said-{count} 2>&1 || {{ cat said-{count} >&2; exit 1; }}")
            last = count
        else:
            assert block.language == "text", f"{block}: neither a file nor a command"
            wanted.append((last, block))
    done = subprocess.run(
        ["/bin/bash", "-c", "\n".join(script)], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for count, block in wanted:
        said = [" ".join(line.split()) for line in (folder / f"said-{count}").read_text().splitlines()]
        for line in block.text.splitlines():
            assert any(" ".join(line.split()) in one for one in said), f"{block}: {line}\n" + "\n".join(said)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project's sources alone, as one who only uses it has them."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    return folder


def clean(project: Path, **more: str) -> dict[str, str]:
    """An environment without that of the tests."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    path = f"{Path(sys._base_executable).parent}:/usr/bin:/bin"  # type: ignore[attr-defined]
    return {**inherited, "PATH": path, "QTNC": str(project), "QTNC_CACHE_DIR": str(project / "cache"), **more}


def test_it_can_be_followed(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    follow(folder, clean(project, **OFFLINE))


@pytest.mark.conformance
def test_it_can_be_followed_with_nothing_there(project: Path, tmp_path: Path) -> None:
    """With all that qtnc needs installed anew."""
    folder = tmp_path / "empty"
    folder.mkdir()
    follow(folder, clean(project, PIP_CONSTRAINT=str(project / "constraints.txt")))
