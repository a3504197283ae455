"""The page about passes of one's own: its spec, its three kinds of passes and its entry point work as they stand."""

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from qtnc.passes import PASSES

PAGE = (Path(__file__).parents[2] / "docs" / "passes.md").read_text(encoding="utf-8")
FILES = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
(SPEC,) = re.findall(r"^```qtn\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
(PROJECT,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)

Run = Callable[..., Any]

NAMES = (["fold-scale"], ["fold-scale"], ["common-subexpression-elimination", "remove-unused-nodes"], ["name-products"])


@pytest.fixture
def home(place: Any, toys: Any) -> Any:
    """A model with a scale behind a product, and products without names."""
    proto = toys.scaled()
    for node in proto.graph.node:
        node.ClearField("name")
    toys.write(proto, place.model)
    place.spec.write_text(SPEC)
    return place


LAYERS = {FILES[0]: {"up", "down"}, FILES[1]: {"scaled.up", "down"}, FILES[3]: {"mine.a", "mine.y"}}


@pytest.mark.parametrize(
    ("source", "names"), [*zip(FILES, NAMES, strict=True)], ids=("rule", "onnxscript", "onnx-ir", "qtnc")
)
def test_a_file_is_used(source: str, names: list[str], qtnc: Run, home: Any) -> None:
    (home.folder / "my_passes.py").write_text(source)
    done = qtnc("compile", home.model, home.spec, "-o", home.out, "--verify-each")
    assert done.code == 0, done.err
    pipeline = json.loads((home.out / "manifest.json").read_text())["pipeline"].split(",")
    assert [name for name in pipeline if name not in PASSES] == names
    graph = onnx.load(home.out / "onnx" / "model.onnx").graph
    assert ("Mul" in {node.op_type for node in graph.node}) == (names != ["fold-scale"])
    layers = {entry["layer"] for entry in json.loads((home.out / "plan.json").read_text())["layers"]}
    assert layers == LAYERS.get(source, {"up", "down"})
    if names == ["name-products"]:
        more = "--use", home.folder / "my_passes.py", "--pass-pipeline", "name-products,canonicalize"
        assert "mine.a" in qtnc("opt", home.model, *more).out


def test_a_package_is_used(qtnc: Run, home: Any, install: Callable[..., Path]) -> None:
    project = tomllib.loads(PROJECT)["project"]
    words = project["entry-points"]["qtnc.passes"]
    install(project["name"], words, FILES[3], project["version"], group="passes")
    (statement,) = re.findall(r'`(use name_products\(prefix: "layer"\))`', PAGE)
    home.spec.write_text(SPEC.replace('use "my_passes.py"', statement))
    done = qtnc("plan", home.model, home.spec, "--json")
    assert done.code == 0, done.err
    assert {entry["layer"] for entry in json.loads(done.out)["layers"]} == {"layer.a", "layer.y"}
    listed = {entry["name"]: entry for entry in json.loads(qtnc("passes", "--format", "json").out)}
    assert listed["name-products"]["version"] == "0.1.0"
