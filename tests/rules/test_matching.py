"""Matching where text cases do not reach: bounds, and reasons."""

import onnx_ir as ir
import pytest

from qtnc.ir.text.reader import parse_model
from qtnc.rules.found import Match
from qtnc.rules.matching import MAX_STEPS, Matcher, Miss
from qtnc.spec.rules.looked_for import read_equations


def graph(body: str) -> ir.Model:
    return parse_model('qir 1\nmodel opset {"": 18} ir 10\n' + body, source="model.qir")


def find(model: ir.Model, *equations: str) -> Match | Miss:
    return Matcher(read_equations("match", "\n".join(equations))).find(model.graph[-1], 18)


CHAIN = """graph g(%x: f32[n, 4], %u: f32[n, 4]) -> (%y: f32[n, 4]) {
  weight %a: f32[] = 2.0
  %1 = Add(%x, %a) : f32[n, 4] as "one"
  %2 = Mul(%1, %u) : f32[n, 4] as "two"
  %y = Sub(%2, %u) : f32[n, 4] as "three"
}
"""

REASONS = {
    "y = Sub(Mul(Add(x, 3), u), u)": "`a` holds 2",
    "y = Sub(Mul(Sub(x, 2), u), u)": "node `one` is an Add",
    "y = Sub(Mul(Add(x, 2), u), x)": "`u` is not `x`",
    "y = Sub(Mul(Add(x: const, 2), u), u)": "`x` is no constant",
    "y = Sub(Mul(Add(x: rank 3, 2), u), u)": "`x` has 2 axes",
    "y = Sub(Mul(Add(x: [_, 5], 2), u), u)": "`x` has 4 where 5 is wanted",
    "y = Sub(Mul(Add(x: [n, _], 2), u), u)": "`x` has a size for `n` that is known at run time only",
    "y = Sub(Mul(Add(x: int, 2), u), u)": "`x` is float32",
    "y = Sub(Mul(Add(x, 2), u), u){axis = 1}": "`axis` of node `three` has none",
}


@pytest.mark.parametrize(("text", "reason"), [*REASONS.items()][:-1], ids=[*REASONS][:-1])
def test_the_reason_is_the_one_met_farthest_on(text: str, reason: str) -> None:
    found = find(graph(CHAIN), text)
    assert isinstance(found, Miss)
    assert found.reason.startswith(reason)
    assert found.span is not None


def test_a_match_binds_every_name() -> None:
    found = find(graph(CHAIN), "h = Mul(Add(x: [..., d], a: const), u)", "y = Sub(h, u)")
    assert isinstance(found, Match)
    assert {n: v.name for n, v in found.bound.items() if isinstance(v, ir.Value)} == {
        "y": "y",
        "h": "2",
        "x": "x",
        "a": "a",
        "u": "u",
    }
    assert found.number("d") == 4
    assert [node.name for node in found.nodes] == ["three", "two", "one"]


def test_work_at_one_root_is_bounded() -> None:
    many = 9
    values = ", ".join(f"%x{k}: f32[4]" for k in range(many))
    names = ", ".join(f"%x{k}" for k in range(many))
    model = graph(f"graph g({values}) -> (%y: f32[4]) {{\n  %y = Sum({names}) : f32[4]\n}}\n")
    pattern = ", ".join(f"a{k}" for k in range(many - 1))
    assert isinstance(find(model, f"y = Sum({pattern}, last)"), Match)
    found = find(model, f"y = Sum({pattern}, last: const)")
    assert isinstance(found, Miss)
    assert found.reason == f"more than {MAX_STEPS:,} ways to match were tried here"
