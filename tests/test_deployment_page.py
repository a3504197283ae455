"""The page on deployment tells the truth: its commands run, its table is the one that the compiler goes by."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from qtnc.backends.releases import RELEASES
from qtnc.output.beside import NAMES

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")


def test_its_commands_run(qtnc: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (spec,) = re.findall(r"^```qtn\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "deploy.qtn").write_text(spec)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"^    qtnc (.*)$", PAGE.split("## Which onnxruntime")[0], re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["compile", "verify", "bench"]
    for command in commands:
        words = command.split()
        done = qtnc(*words, *(["--seconds", "0.1"] if words[0] == "bench" else []))
        assert done.code == 0, done.err
    made = onnx.load(tmp_path / "out-deploy" / "onnx" / "model.onnx")
    release = RELEASES["1.17"]
    assert made.opset_import[0].version <= release.opset
    assert made.ir_version <= release.ir_version


def test_the_releases_are_those_of_the_table() -> None:
    rows = [f"| {name} | {release.opset} | {release.ir_version} |" for name, release in RELEASES.items()]
    assert PAGE.split("<!-- releases -->\n")[1].split("\n<!-- /releases -->")[0].splitlines() == rows


def test_what_is_carried_along_is_listed() -> None:
    section = PAGE.split("## What is carried along")[1].split("\n## ")[0]
    assert {name for name in NAMES if f"`{name}`" not in section} == set()
