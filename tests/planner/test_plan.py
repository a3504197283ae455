"""The plan as data: the same each time, whole in JSON, and without a trace of the machine."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from onnx import numpy_helper

from qtnc.calibrate.data import DataSet
from qtnc.compiler import plan
from qtnc.planner.plan import FORMAT, Baselines, Estimate, Ignored, Latency, LayerPlan, Plan, RuleDone
from qtnc.planner.planner import Planned

SPEC = """qtn 1
bind batch = 3
data calib = npz("calib.npz") take 5
optimize memory
select every = MatMul
select up = MatMul where name ~ "up"
rewrite every -> mpo(sites: auto, bytes: 40%) on calib
rewrite up -> lowrank(rank: 2)
emit onnx
"""

LAYER = LayerPlan(
    layer="up",
    op="MatMul",
    shape=(16, 24),
    rule="spec.qtn:7",
    overruled=("spec.qtn:6",),
    structure="mpo",
    settled={"sites": [[4, 4], [4, 6]], "bonds": [2]},
    metric="calib",
    predicted_error=0.25,
    parameters=80,
    original_parameters=384,
    bytes=320,
    original_bytes=1536,
    rows=3,
    flops=1000,
    dense_flops=2304,
    latency=Latency(3, 0.5, 0.25),
    baselines=Baselines(0.5, None, 0.001, 0.01),
    circuits=None,
    reason="sites as asked",
    times=(Latency(3, 0.5, 0.25), Latency(8, 0.5, 0.5, "torch", 1, "float16", None, 1.25)),
)

PLAN = Plan(
    model="model.onnx",
    spec="spec.qtn",
    stage=None,
    optimize="memory",
    binds={"batch": 3},
    layers=(LAYER,),
    unclaimed=1,
    model_parameters=576,
    model_bytes=2304,
    parameters=272,
    bytes=1088,
    notes=("a note",),
    estimate=Estimate(0.5, 4096),
    ignored=(Ignored("head", "spec.qtn:3"),),
    settings={"batch": 3},
    rules=(RuleDone("fold", "spec.qtn:2", 3), RuleDone("never", None, 0, "there is no Relu")),
)


@pytest.fixture
def paths(tmp_path: Path, toys: ModuleType) -> tuple[Path, Path]:
    """A model, and a spec with data beside it."""
    folder = tmp_path / "deep" / "folder"
    folder.mkdir(parents=True)
    x = np.random.default_rng(0).standard_normal((6, 16)).astype(np.float32)
    np.savez(folder / "calib.npz", x=x)
    (folder / "spec.qtn").write_text(SPEC)
    return toys.write(toys.mlp(), folder / "model.onnx"), folder / "spec.qtn"


def steady(found: Plan) -> dict[str, Any]:
    """A plan as data, without what is measured by the clock."""
    content = found.to_json()
    del content["estimate"]["seconds"]
    for entry in content["layers"]:
        assert len(entry["times"]) > 8
        for time in (entry["latency"], *entry["times"]):
            assert time.pop("dense_ms") > 0.0
            assert time.pop("ours_ms") > 0.0
            assert time.pop("noise") >= 0.0
    return content


def test_planned_twice_it_is_the_same(paths: tuple[Path, Path]) -> None:
    first, again = (json.dumps(steady(plan(*paths).plan), allow_nan=False) for _ in range(2))
    assert first == again


def strings(content: Any) -> Iterator[str]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield from (key, *strings(value))
    elif isinstance(content, list):
        for value in content:
            yield from strings(value)
    elif isinstance(content, str):
        yield content


def test_it_tells_no_path_of_the_machine(
    paths: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    absolute = steady(plan(*paths).plan)
    monkeypatch.chdir(tmp_path)
    relative = steady(plan(*(path.relative_to(tmp_path) for path in paths)).plan)
    assert absolute == relative
    found = list(strings(absolute))
    assert {"model.onnx", "spec.qtn", "spec.qtn:7", "spec.qtn:8"} <= set(found)
    assert not [text for text in found if "/" in text or "folder" in text or tmp_path.name in text]


def test_it_writes_nothing(paths: tuple[Path, Path]) -> None:
    before = sorted(paths[0].parent.iterdir())
    plan(*paths)
    assert sorted(paths[0].parent.iterdir()) == before


def test_json_holds_all_of_it() -> None:
    content = PLAN.to_json()
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert content["format"] == FORMAT
    (layer,) = content.pop("layers")
    assert Baselines(**layer.pop("baselines")) == LAYER.baselines
    assert Latency(**layer.pop("latency")) == LAYER.latency
    assert tuple(Latency(**time) for time in layer.pop("times")) == LAYER.times
    rest = {"latency": LAYER.latency, "baselines": LAYER.baselines, "times": LAYER.times}
    tuples = {key: tuple(layer.pop(key)) for key in ("shape", "overruled")}
    assert LayerPlan(**layer, **tuples, **rest) == LAYER
    assert Estimate(**content.pop("estimate")) == PLAN.estimate
    assert tuple(Ignored(**row) for row in content.pop("ignored")) == PLAN.ignored
    assert tuple(RuleDone(**row) for row in content.pop("rules")) == PLAN.rules
    assert tuple(content.pop("notes")) == PLAN.notes
    assert all(getattr(PLAN, key) == value for key, value in content.items() if key != "format")


def test_json_has_no_infinity() -> None:
    inf = float("inf")
    layer = replace(LAYER, predicted_error=inf, baselines=Baselines(inf, float("nan"), 0.0, inf))
    (content,) = json.loads(json.dumps(replace(PLAN, layers=(layer,)).to_json(), allow_nan=False))["layers"]
    assert content["predicted_error"] is None
    assert content["baselines"] == {"svd": None, "whitened_svd": None, "int8": 0.0, "int4": None}


def test_data_that_never_meets_a_weight_leaves_an_error_without_bound(
    planned: Callable[..., Planned], toys: ModuleType
) -> None:
    """Where the output is zero on the data, any rounding is infinitely far from it, and JSON still holds the plan."""
    proto = toys.mlp()
    weight = np.array(numpy_helper.to_array(proto.graph.initializer[0]))
    weight[0] = 0.0
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "up.weight"))
    x = np.zeros((5, 16), np.float32)
    x[:, 0] = 1.0
    text = (
        'data calib = npz("calib.npz")\noptimize memory\nselect up = * where name ~ "up"\n'
        "rewrite up -> mpo(sites: 2, max_bond: 2) on calib\n"
    )
    found = planned(proto, text, {"calib": DataSet("calib", {"x": x})}).plan
    json.dumps(found.to_json(), allow_nan=False)
    assert found.layers[0].predicted_error in (0.0, float("inf"))


def test_shares() -> None:
    assert (LAYER.share, LAYER.flops_share, PLAN.share) == (80 / 384, 1000 / 2304, 272 / 576)
    assert LAYER.latency is not None
    assert LAYER.latency.ratio == 0.5
    nothing = replace(LAYER, parameters=0, original_parameters=0, flops=0, dense_flops=0)
    assert (nothing.share, nothing.flops_share) == (1.0, 1.0)
    assert replace(PLAN, parameters=0, model_parameters=0).share == 1.0
