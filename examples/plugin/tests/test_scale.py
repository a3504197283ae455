"""The pass, told by cases: docs/testing.md of qtnc says what stands in them."""

import pytest
from qtnc_scale import FoldScale

from qtnc.testing import check_text

MODEL = """
qir 1
model opset {{"": 18}} ir 10
graph g(%x: f32[n, 4]) -> (%y: f32[n, 3]{more}) {{
  weight %up.weight: f32[4, 6] = normal(0)
  weight %down.weight: f32[6, 3] = normal(1)
  weight %s: f32[{shape}] = normal(2)
  %a = MatMul(%x, %up.weight) : f32[n, 6] @"up"
  %b = Mul({first}, {second}) : f32[n, 6]
  %c = Relu(%b) : f32[n, 6]
  %y = MatMul(%c, %down.weight) : f32[n, 3] @"down"
}}
"""


def case(run: str, check: str, **changes: str) -> str:
    parts = {"more": "", "shape": "1", "first": "%a", "second": "%s", **changes}
    return f"// RUN: {run}\n// CHECK: {check}\n" + MODEL.format(**parts)


@pytest.mark.parametrize("changes", [{}, {"shape": ""}, {"shape": "1, 1"}, {"first": "%s", "second": "%a"}])
def test_a_number_is_folded(changes: dict[str, str]) -> None:
    model = check_text(case("fold-scale", "%b = MatMul(%x, %up.weight)", **changes), passes=[FoldScale])
    assert [node.op_type for node in model.graph] == ["MatMul", "Relu", "MatMul"]
    assert sorted(model.graph.initializers) == ["down.weight", "up.weight"]


@pytest.mark.parametrize(
    "changes",
    [{"shape": "6"}, {"more": ", %a: f32[n, 6]"}, {"first": "%a", "second": "%a"}],
)
def test_what_is_no_such_number_is_left(changes: dict[str, str]) -> None:
    check_text(case("fold-scale", "Mul(", **changes), passes=[FoldScale])


def test_a_large_weight_is_left() -> None:
    check_text(case("fold-scale{largest=23}", "Mul("), passes=[FoldScale])
    check_text(case("fold-scale{largest=24}", "%b = MatMul(%x, %up.weight)"), passes=[FoldScale])
