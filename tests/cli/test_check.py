"""``qtnc check``: all errors at once, what is selected, and no weight read."""

import json
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]

SPEC = """qtn 1
bind batch = 4
select all  = MatMul
select wide = all where weight.columns >= 16
select hard = top 1 of all by entropy
select rest = all - hard
stage one {
    rewrite wide -> lowrank(rank: 2)
}
stage two extends one {
    rewrite rest -> mpo(sites: 2, max_bond: 2)
}
emit onnx
"""


@pytest.fixture
def home(place: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    place.spec.write_text(SPEC)

    def never(layer: Any) -> Any:
        raise AssertionError("a weight was read")

    monkeypatch.setattr("qtnc.ir.layers.Layer.matrix", never)
    return place


def test_what_is_selected(qtnc: Run, home: Any) -> None:
    done = qtnc("check", home.model, home.spec)
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "all: 2 of 2 layers: up, down\n"
        "wide: 1 of 2 layers: up\n"
        "hard: decided by plan, for it reads weights\n"
        "rest: decided by plan, for it reads weights\n"
        "spec.qtn:8: rewrite wide -> lowrank(rank: 2): 1 layer\n"
        "spec.qtn:11: rewrite rest -> mpo(sites: 2, max_bond: 2): as many as plan finds\n"
        "how many layers are left is decided by plan\n"
    )
    first = qtnc("check", home.model, home.spec, "--stage", "one")
    assert first.out.endswith("lowrank(rank: 2): 1 layer\n1 layer in no rewrite\n")
    told = json.loads(qtnc("check", home.model, home.spec, "--format", "json").out)
    assert told["selected"] == {"all": ["up", "down"], "wide": ["up"], "hard": None, "rest": None}
    assert (told["stage"], told["untouched"]) == ("two", None)


def test_a_spec_alone(qtnc: Run, home: Any) -> None:
    done = qtnc("check", home.spec)
    assert (done.code, done.out) == (0, "spec.qtn: 4 selectors, 2 rewrites, 2 stages; no mistakes\n")


def test_all_errors_come_at_once(qtnc: Run, home: Any) -> None:
    home.spec.write_text(SPEC.replace("rank: 2", "rank: none").replace("emit onnx", "emit onyx\nverify outputs"))
    done = qtnc("check", home.spec)
    assert (done.code, done.out) == (1, "")
    assert [line.split(" ")[0] for line in done.err.splitlines() if ": error: " in line] == [
        f"{home.spec}:{place}:" for place in ("8:35", "13:6", "14:15")
    ]


def test_empty_selectors_come_at_once(qtnc: Run, home: Any) -> None:
    home.spec.write_text(SPEC.replace("= MatMul\n", "= Gemm\n").replace("all where", "MatMul where block == 3 and"))
    done = qtnc("check", home.model, home.spec)
    assert done.code == 1
    assert "`all` selects nothing" in done.err
    assert "`wide` selects nothing" in done.err
