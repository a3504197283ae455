"""The Python API: the page about it runs; results are typed, shown as tables, and those of the command line."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import qtnc
from qtnc.errors import ImportModelError, OutputError, SpecError, UsageError

PAGE = (Path(__file__).parents[1] / "docs" / "api.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def command(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue("qtnc")


@pytest.fixture
def home(place: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(place.folder)
    return place


def test_the_page_runs(home: Any, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for block in BLOCKS:
        exec(compile(block, "api.md", "exec"), names)  # noqa: S102 - our own page
    said = capsys.readouterr().out
    assert "up" in said
    assert "SpecError 1" in said
    assert "`none` selects nothing" in said
    assert "plan: 1 of 1, 100% up" in said
    assert list(home.folder.glob("fits/1/*/*/facts.json"))


def test_every_name_is_there() -> None:
    assert set(qtnc.__all__) <= set(dir(qtnc))
    for name in qtnc.__all__:
        assert getattr(qtnc, name) is getattr(qtnc, name)
    with pytest.raises(AttributeError, match="no attribute 'compil'"):
        _ = qtnc.compil


def test_inspect_says_what_the_command_says(home: Any, command: Callable[..., Any]) -> None:
    found = qtnc.inspect(home.model, spectra=True)
    assert [layer.name for layer in found] == ["up", "down"]
    assert (len(found), found[0].shape, found[-1].name) == (2, (16, 24), "down")
    told = json.loads(command("inspect", home.model, "--spectra", "--format", "json").out)
    assert told[0]["spectrum"]["stable_rank"] == found[0].spectrum.stable_rank
    assert command("inspect", home.model, "--spectra").out == f"{found}\n"
    assert command("inspect", home.model).out == f"{qtnc.inspect(home.model)}\n"


def test_a_plan_is_saved_and_obeyed(home: Any) -> None:
    planning = qtnc.plan(home.model, home.spec)
    (layer,) = planning.layers
    assert (layer.layer, layer.structure, layer.settled) == ("up", "lowrank", {"rank": 3})
    planning.save("plan.json")
    done = qtnc.compile(home.model, home.spec, home.out, plan="plan.json")
    assert done.plan == planning.plan
    assert (done.holds, done.out) == (True, home.out)
    assert done.report["parameters"]["compiled"] == planning.plan.parameters
    x = np.ones((2, 16), np.float32)
    session = onnxruntime.InferenceSession(done.onnx)
    assert session.run(None, {"x": x})[0].shape == (2, 8)
    assert (done.torch / "model.py").is_file()


def test_a_verdict_that_does_not_hold_is_no_exception(home: Any) -> None:
    done = qtnc.compile(home.model, home.spec.read_text() + "verify outputs within 1%\n", home.out)
    assert not done.holds
    assert done.verdicts[0].worst > 0.01
    assert "FAILED" in str(done)


def test_errors_are_those_of_the_command(home: Any) -> None:
    with pytest.raises(ImportModelError, match="no such file"):
        qtnc.inspect("nothing.onnx")
    with pytest.raises(SpecError, match="<spec>:2:1"):
        qtnc.plan(home.model, "qtn 1\nnonsense\n")
    with pytest.raises(SpecError, match="cannot read the spec"):
        qtnc.plan(home.model, "nothing.qtn")
    with pytest.raises(UsageError, match="unknown setting `rows`"):
        qtnc.plan(home.model, home.spec, settings={"rows": 3})
    with pytest.raises(UsageError, match="at least one process"):
        qtnc.plan(home.model, home.spec, jobs=0)
    with pytest.raises(OutputError, match="not empty"):
        qtnc.compile(home.model, home.spec, home.folder)
    with pytest.raises(OutputError, match="cannot be written"):
        qtnc.plan(home.model, home.spec).save("no/such/folder/plan.json")


class Cells(HTMLParser):
    """Tags and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_notebooks_show_tables(home: Any, toys: Any) -> None:
    """In which a name is text, whatever it says."""
    name = "<script>alert(1)</script>"
    proto = toys.mlp()
    proto.graph.node[0].name = proto.graph.initializer[0].name = name
    proto.graph.node[0].input[1] = name
    toys.write(proto, home.model)
    spec = "qtn 1\nbind batch = 4\noptimize memory\nselect all = MatMul\nrewrite all -> lowrank(rank: 2)\nemit onnx\n"
    for shown in (qtnc.inspect(home.model), qtnc.plan(home.model, spec), qtnc.compile(home.model, spec, home.out)):
        cells = Cells(shown._repr_html_())
        assert cells.tags <= {"table", "thead", "tbody", "tr", "th", "td", "p"}
        assert {name, "layer", "down"} <= set(cells.texts)
