"""``qtnc diff``: what differs between two folders, and nothing where nothing does."""

import json
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]

SPEC = """qtn 1
bind batch = 4
optimize memory
select up   = MatMul where name ~ "up"
select down = MatMul where name ~ "down"
stage one {
    rewrite up -> lowrank(rank: 4)
}
stage two extends one {
    rewrite down -> lowrank(rank: 2)
    rewrite up   -> lowrank(rank: 6)
}
emit onnx
"""


@pytest.fixture
def home(place: Any, qtnc: Run) -> Any:
    place.spec.write_text(SPEC)
    for stage in ("one", "two"):
        assert qtnc("compile", place.model, place.spec, "-o", place.folder / stage, "--stage", stage).code == 0
    return place


def test_what_a_stage_bought_and_cost(qtnc: Run, home: Any) -> None:
    one, two = home.folder / "one", home.folder / "two"
    told = json.loads(qtnc("diff", one, two, "--format", "json").out)
    assert [(x["layer"], x["first"], x["second"] and x["second"]["settled"]) for x in told["layers"]] == [
        ("up", told["layers"][0]["first"], {"rank": 6}),
        ("down", None, {"rank": 2}),
    ]
    up = told["layers"][0]
    assert (up["first"]["parameters"], up["second"]["parameters"]) == (4 * 40, 6 * 40)
    assert up["first"]["error"] > up["second"]["error"]
    assert told["second"]["parameters"] == 6 * 40 + 2 * 32
    text = qtnc("diff", one, two).out
    assert "layers that are the same in both: 0\n" in text
    assert f"{one} (one)" in text
    parameters = next(line for line in text.splitlines() if line.startswith("parameters"))
    assert parameters.split() == ["parameters", f"{4 * 40 + 192:,}", "304", f"{304 / 352:.3f}x"]


def test_nothing_differs_from_itself(qtnc: Run, home: Any) -> None:
    done = qtnc("diff", home.folder / "one", home.folder / "one")
    assert done.code == 0
    assert done.out.startswith("layers that are the same in both: 1\n")
    assert "1.000x" in done.out


def test_what_cannot_be_compared(qtnc: Run, home: Any, toys: Any) -> None:
    one, two = home.folder / "one", home.folder / "two"
    other = home.folder / "other"
    other.mkdir()
    assert "not a folder that qtnc wrote" in qtnc("diff", one, other).err
    toys.write(toys.mlp(opset=17), home.model)
    assert qtnc("compile", home.model, home.spec, "-o", other / "out").code == 0
    done = qtnc("diff", one, other / "out")
    assert (done.code, done.out) == (1, "")
    assert "not compiled from the model that" in done.err
    for damage in ("", "{}", '{"layers": [{"layer": "up", "error": "x"}]}', "[" * 10_000):
        (two / "report.json").write_text(damage)
        done = qtnc("diff", one, two)
        assert (done.code, done.out) == (1, "")
        assert "damaged report" in done.err
    (two / "report.json").unlink()
    assert "cannot be read" in qtnc("diff", one, two).err
