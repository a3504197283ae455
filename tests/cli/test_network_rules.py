"""A rule about what layers become: it applies behind the passes that make networks, and reaches both backends."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest

Run = Callable[..., Any]

SPEC = """qtn 1
bind batch = 4
optimize memory
rule into_the_core {
    match   y = Mul(f: qtn.LowRank(x, a, b: const), s: const scalar)
    replace y = f(x, a, b * s)
}
select up = MatMul where name ~ "up"
rewrite up -> lowrank(rank: 3)
emit torch
emit onnx
"""


@pytest.fixture
def home(place: Any, toys: Any) -> Any:
    toys.write(toys.scaled(), place.model)
    place.spec.write_text(SPEC)
    return place


def numbers(folder: Any) -> np.ndarray:
    from onnx.reference import ReferenceEvaluator

    x = np.random.default_rng(0).normal(size=(4, 16)).astype(np.float32)
    found: np.ndarray = ReferenceEvaluator(onnx.load(folder / "onnx" / "model.onnx")).run(None, {"x": x})[0]
    return found


def test_it_applies_to_networks_and_computes_the_same(qtnc: Run, home: Any) -> None:
    done = qtnc("compile", home.model, home.spec, "-o", home.out, "--verify-each", "--trace", "rewrite")
    assert done.code == 0, done.err
    assert "rule into_the_core (spec.qtn:4): applied once" in done.out
    assert "replaced by LowRank" in done.err
    passes = json.loads((home.out / "manifest.json").read_text())["pipeline"].split(",")
    assert passes.index("apply-network-rules") == passes.index("matmul-to-network") + 1
    assert "apply-rules" not in passes
    assert "Mul" not in {node.op_type for node in onnx.load(home.out / "onnx" / "model.onnx").graph.node}
    other = home.out.with_name("other")
    plain = qtnc("compile", home.model, home.spec, "-o", other, "--disable-pass", "apply-network-rules")
    assert plain.code == 0, plain.err
    np.testing.assert_allclose(numbers(home.out), numbers(other), rtol=1e-4, atol=1e-5)


def test_a_plan_can_be_replayed(qtnc: Run, home: Any) -> None:
    assert qtnc("compile", home.model, home.spec, "-o", home.out).code == 0
    again = home.out.with_name("again")
    done = qtnc("compile", home.model, home.spec, "-o", again, "--plan", home.out / "plan.json")
    assert done.code == 0, done.err
    for file in ("onnx/model.onnx", "torch/model.py", "torch/model.safetensors"):
        assert (home.out / file).read_bytes() == (again / file).read_bytes()
