"""``opt``, ``passes`` and ``inspect --spectra``: what they print, write and refuse."""

import json
import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx
import pytest
from qtnc.passes import PASSES

from qtnc.cli import main
from qtnc.ir.text.files import load_text
from qtnc.ir.text.printer import print_model

Run = Callable[..., Any]


@pytest.fixture
def network(qtnc: Run, place: Any) -> Path:
    """The IR of the small model with one network in it."""
    done = qtnc("compile", place.model, place.spec, "-o", place.out, "--print-ir-after=choose-contraction-order")
    assert done.code == 0
    return Path(place.folder / "out.ir" / "07-choose-contraction-order.onnx")


def test_opt_prints_text(qtnc: Run, network: Path) -> None:
    for path in (network, network.with_suffix(".qir")):
        done = qtnc("opt", path, "--pass-pipeline", "choose-contraction-order{binds.batch=4},lower-to-onnx")
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith("qir 1\n")
        assert "qtn" not in done.out
        assert done.out.count("= MatMul(") == 3
    done = qtnc("opt", network, "--pass-pipeline", "")
    assert 'qtn.LowRank["up"]' in done.out


@pytest.mark.parametrize("source", [".onnx", ".qir"])
@pytest.mark.parametrize("target", [".onnx", ".qir"])
def test_opt_writes_by_the_ending(source: str, target: str, qtnc: Run, network: Path, tmp_path: Path) -> None:
    out = tmp_path / f"made{target}"
    command = ("opt", network.with_suffix(source), "-o", out, "--pass-pipeline", "lower-to-onnx")
    done = qtnc(*command)
    assert (done.code, done.out, done.err) == (0, "", "")
    if target == ".onnx":
        onnx.checker.check_model(str(out), full_check=True)
        assert {node.domain for node in onnx.load(out).graph.node} == {""}
    else:
        assert "MatMul" in print_model(load_text(out))
    done = qtnc(*command)
    assert (done.code, done.out) == (1, "")
    assert done.err == f"{out}: error: is there already\n  = help: choose another -o, or add --force\n"
    assert qtnc(*command, "--force").code == 0


@pytest.mark.parametrize(
    ("code", "said", "arguments"),
    [
        (2, "matmul-to-mpo does what a plan decides", ["model.onnx", "--pass-pipeline=matmul-to-mpo"]),
        (2, "did you mean `canonicalize`?", ["model.onnx", "--pass-pipeline=canonicalise"]),
        (2, "the ending says no form", ["model.onnx", "--pass-pipeline=canonicalize", "-o", "x.txt"]),
        (1, "absent.onnx: error: no such file", ["absent.onnx", "--pass-pipeline=canonicalize"]),
        (1, "absent.qir: error: cannot be read", ["absent.qir", "--pass-pipeline=canonicalize"]),
        (1, "spec.qtn: error: not an ONNX model", ["spec.qtn", "--pass-pipeline=canonicalize"]),
        (1, "wrong.qir: error: not a valid ONNX model", ["wrong.qir", "--pass-pipeline=canonicalize"]),
        (1, "x.qir: error: cannot be written", ["model.onnx", "--pass-pipeline=", "-o", "absent/x.qir"]),
    ],
)
def test_opt_refuses(
    code: int, said: str, arguments: list[str], qtnc: Run, place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place.folder)
    text = 'qir 1\nmodel opset {"": 18} ir 10\ngraph g(%x: f32[2]) -> (%y: f32[2]) {\n  %y = Rlu(%x) : f32[2]\n}\n'
    Path("wrong.qir").write_text(text)
    done = qtnc("opt", *arguments)
    assert (done.code, done.out) == (code, "")
    assert said in done.err


def test_passes(qtnc: Run) -> None:
    done = qtnc("passes", "--format", "json")
    assert (done.code, done.err) == (0, "")
    entries = {entry["name"]: entry for entry in json.loads(done.out)}
    assert list(entries) == list(PASSES)
    assert {name for name, entry in entries.items() if not entry["exact"]} == {
        "matmul-to-lowrank",
        "matmul-to-mpo",
        "matmul-to-circuit",
        "matmul-to-network",
        "to-float16",
    }
    assert all((e["package"], e["version"]) == ("qtnc", version("qtnc")) for e in entries.values())
    assert entries["fold-constants"]["options"] == [{"name": "max_growth", "type": "int", "default": "65536"}]
    assert entries["choose-contraction-order"]["options"] == [
        {"name": "binds", "type": "Mapping[str, int]", "default": "{}"},
        {"name": "folded", "type": "bool", "default": "False"},
    ]
    done = qtnc("passes")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].split() == ["pass", "exact", "from", "summary"]
    assert [line.split()[0] for line in lines[1:] if not line.startswith(" ")] == list(PASSES)
    assert "  max_growth: int = 65536" in lines
    assert all(entry["summary"] in done.out for entry in entries.values())


def test_spectra(qtnc: Run, place: Any) -> None:
    done = qtnc("inspect", place.model, "--spectra")
    assert (done.code, done.err) == (0, "")
    header, up, down, *_ = done.out.splitlines()
    assert header.split()[:6] == ["layer", "op", "weight", "elements", "stable", "rank"]
    assert up.split()[:4] == ["up", "MatMul", "16x24", "384"]
    data = json.loads(qtnc("inspect", place.model, "--spectra", "--format", "json").out)
    assert [row["layer"] for row in data] == ["up", "down"]
    for row, line in zip(data, (up, down), strict=True):
        found = row["spectrum"]
        ranks = [str(rank) for rank in found["ranks"].values()]
        assert line.split()[4:8] == [f"{found['stable_rank']:.1f}", *ranks]
        assert line.split()[-1] == f"{found['entropy']:.3f}"
        assert list(found["ranks"]) == ["10%", "20%", "30%"]


def test_every_tool_is_in_the_docs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "tools.md").read_text(encoding="utf-8")
    with pytest.raises(SystemExit):
        main(["compile", "--help"])
    said = capsys.readouterr().out.split("\npasses:")[1]
    options = set(re.findall(r"^ +(--[a-z-]+)", said, re.MULTILINE))
    assert len(options) == 9
    assert all(option in page for option in options | {"qtnc opt", "qtnc passes", "--spectra"})
