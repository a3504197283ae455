"""A rule in Python: what it is given, what it may make, and what becomes of its mistakes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx_ir as ir
import pytest

from qtnc.authoring import Builder, Match, Rewrite, decline
from qtnc.errors import InternalError, PassError, SpecError
from qtnc.ir.text.reader import parse_model
from qtnc.pipeline import is_exact
from qtnc.rules.trace import Attempt
from qtnc.testing import assert_equivalent, check_text

MODEL = """qir 1
model opset {"": 18} ir 10
graph g(%x: f32[n, 4]) -> (%y: f32[n, 6]) {
  weight %w: f32[4, 6] = normal(0)
  weight %s: f32[] = 0.5
  %h = MatMul(%x, %w) : f32[n, 6] @"mlp.up" as "up"
  %y = Mul(%h, %s) : f32[n, 6] @"mlp" as "scale"
}
"""


def model() -> ir.Model:
    return parse_model(MODEL, source="model.qir")


@dataclass(frozen=True)
class Fold(Rewrite):
    """Multiply the weight instead of the product."""

    name: ClassVar[str] = "fold"
    match: ClassVar[str] = "y = Mul(h: MatMul(x, w: const [m, k]), s: const scalar)"

    largest: float = 100.0

    def replace(self, found: Match, build: Builder) -> ir.Value | Mapping[str, ir.Value]:
        if found.number("s") > self.largest:
            decline("it scales by too much", at=found["s"])
        assert (found.number("m"), found.number("k")) == found.shape("w") == (4, 6)
        assert found.layer == "mlp"
        assert found.node("h").name == "up"
        assert "h" in found
        assert "z" not in found
        return {"y": build("MatMul", found["x"], found.array("w") * found.number("s"))}


def test_it_fits_in_25_lines() -> None:
    page = (Path(__file__).parents[2] / "docs" / "passes.md").read_text(encoding="utf-8")
    block = page.split("```python\n")[1].split("```")[0]
    assert "Rewrite" in block
    assert len(block.splitlines()) <= 25


def test_it_is_applied_and_keeps_names() -> None:
    after = Fold().run(model()).model
    assert_equivalent(model(), after)
    (node,) = after.graph
    assert (node.op_type, node.name, [v.name for v in node.inputs if v]) == ("MatMul", "up", ["x", "w"])
    assert list(node.outputs[0].shape or ()) == [ir.SymbolicDim("n"), 6]


def test_it_declines_and_says_where() -> None:
    told: list[Attempt] = []
    result = Fold(largest=0.1, listen=told.append).run(model())
    assert not result.modified
    assert [(t.outcome, t.reason, t.at) for t in told] == [("declined", "it scales by too much", "s")]


def test_a_case_names_it() -> None:
    check_text("// RUN: fold{largest=1}\n" + MODEL + "// CHECK-NOT: Mul(%h\n", passes=[Fold])


def made(replace: Any, match: str = Fold.match, **more: Any) -> Rewrite:
    body = {"name": "mine", "match": match, "replace": replace, "__annotations__": {}, **more}
    kind: type[Rewrite] = dataclass(frozen=True)(type("Mine", (Rewrite,), body))
    return kind()


def test_another_type_or_shape_is_declined() -> None:
    for replace in (
        lambda self, found, build: build("Cast", found["h"], to=ir.DataType.DOUBLE),
        lambda self, found, build: build("Unsqueeze", found["h"], [0]),
        lambda self, found, build: build("Reshape", found["h"], [0, 0, 0, 0, 0]),
    ):
        assert not made(replace).run(model()).modified


def test_numbers_take_the_type_that_is_wanted() -> None:
    after = made(lambda self, found, build: build("Add", build("Slice", found["h"], [0], [6], [1]), 0)).run(model())
    assert after.modified
    types = {v.dtype for v in after.model.graph.initializers.values()}
    assert types == {ir.DataType.FLOAT, ir.DataType.INT64}


def test_several_results_and_an_operation_again() -> None:
    def replace(self: Any, found: Match, build: Builder) -> ir.Value:
        first, second = build.several("Split", 2, found["x"], axis=0, num_outputs=2)
        halves = [build.again(found.node("h"), half, found["w"])[0] for half in (first, second)]
        return build("Mul", build("Concat", *halves, axis=0), found["s"])

    after = made(replace).run(model()).model
    assert [node.op_type for node in after.graph] == ["Split", "MatMul", "MatMul", "Concat", "Mul"]
    assert_equivalent(model(), after, binds={"n": 4})


def test_one_that_never_ends_is_reported() -> None:
    def replace(self: Any, found: Match, build: Builder) -> ir.Value:
        return build("Mul", found["h"], found.array("s") * 2)

    with pytest.raises(PassError, match="do not come to an end: mine -> mine, at `mlp`"):
        made(replace).run(model())


def test_what_is_not_a_value_is_a_bug_of_the_author() -> None:
    with pytest.raises(InternalError, match="returns a ndarray, and no value of the graph"):
        made(lambda self, found, build: np.zeros(3)).run(model())


def test_a_match_that_is_wrong_is_shown() -> None:
    with pytest.raises(SpecError, match="did you mean `MatMul`") as caught:
        made(lambda self, found, build: found["x"], match="y = Mul(MatMull(x, w: const), s)").run(model())
    assert "Mine.match:2:19" in str(caught.value)


def test_within_makes_it_inexact() -> None:
    assert is_exact(Fold)
    assert not is_exact(type(made(lambda self, found, build: found["x"], within=0.01)))


def test_more_than_can_be_followed_is_refused() -> None:
    many = ", ".join(f"a{k}" for k in range(2000))
    with pytest.raises(SpecError, match="looks for 150 operations and values at most, not 2,001"):
        made(lambda self, found, build: found["a0"], match=f"y = Sum({many})").run(model())
