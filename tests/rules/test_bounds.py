"""Rules that would take all memory, time or stack, and are told so."""

from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qtnc.backends.options import BACKENDS
from qtnc.errors import SpecError
from qtnc.ir.text.reader import parse_model
from qtnc.plugins.allowed import Allowed
from qtnc.rules import computing
from qtnc.rules.driving import apply_rules
from qtnc.spec.read import read_spec
from qtnc.spec.rules.looked_for import read_equations
from qtnc.structures.registry import STRUCTURES
from qtnc.tensor import mapped

MODEL = """qir 1
model opset {"": 18} ir 10
graph g(%x: f32[n, 4]) -> (%y: f32[m, 4]) {
  weight %c: f32[1, 4] = [1.0, 1.0, 1.0, 1.0]
  %y = Concat(%x, %c){axis = 0} : f32[m, 4] as "join"
}
"""

SCALED = """qir 1
model opset {"": 18} ir 10
graph g(%x: f32[n, 1024]) -> (%y: f32[n, 1024]) {
  weight %w: f32[1024, 1024] = normal(0)
  weight %s: f32[] = 0.5
  %h = MatMul(%x, %w) : f32[n, 1024]
  %y = Mul(%h, %s) : f32[n, 1024]
}
"""

DOUBLES = "replace y = Concat(x, concat(0, c, c)){axis = 0}"
OUTER = (
    "let a = full([64, 1], 1.0)\n let b = full([1, 64], 1.0)\n replace y = Concat(x, slice(a @ b, 0, 0, 1)){axis = 0}"
)
BROADCAST = OUTER.replace("@", "*")

ODD = {
    "a huge size": "replace y = Concat(x, full([10**300 * 10**300], 1)){axis = 0}",
    "a huge attribute": "replace y = Concat(x, c){axis = 10**30}",
    "a huge attribute of an unknown operator": "replace y = foo.Bar(x){a = 10**40}",
    "an attribute that is no number": "replace y = Concat(x, c){axis = max(1 / (c - c))}",
    "no such axis": "replace y = Concat(x, slice(c, 5, 0, 1)){axis = 0}",
    "no such item": "replace y = Concat(x, reshape(c, [item(shape(c), 9), 4])){axis = 0}",
    "an endless axis": "where dim(c, max(1 / (c - c))) == 1\n replace y = Concat(x, c + 1){axis = 0}",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_what_cannot_be_computed_declines(text: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.qtn"
    path.write_text(f"qtn 1\nrule r {{\n match y = Concat(x, c: const){{axis = 0}}\n {text}\n}}\n")
    rules = read_spec(path, STRUCTURES, BACKENDS, allowed=Allowed(python="leave")).rules
    (applied,) = apply_rules(parse_model(MODEL, source="model.qir"), rules)
    assert applied.times == 0
    assert applied.nearest is not None
    assert applied.nearest.outcome == "declined"


@pytest.mark.parametrize(
    ("text", "times"), [(DOUBLES, 8), (OUTER, 0), (BROADCAST, 0)], ids=["doubles", "outer", "broadcast"]
)
def test_constants_are_bounded(text: str, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computing, "MOST", 1024)
    path = tmp_path / "rules.qtn"
    path.write_text(f"qtn 1\nrule r {{\n match y = Concat(x, c: const){{axis = 0}}\n {text}\n}}\n")
    rules = read_spec(path, STRUCTURES, BACKENDS, allowed=Allowed(python="leave")).rules
    model = parse_model(MODEL, source="model.qir")
    (applied,) = apply_rules(model, rules)
    assert applied.times >= times
    assert applied.nearest is not None
    assert "it would be a constant of " in applied.nearest.reason
    assert max(v.const_value.size for v in model.graph.initializers.values() if v.const_value) <= 1024


def test_what_a_pass_looks_for_is_bounded() -> None:
    names = ", ".join(f"a{k}" for k in range(2000))
    with pytest.raises(SpecError, match="a rule looks for 150 operations and values at most, not 2,001"):
        read_equations("match", f"y = Sum({names})")


def test_large_constants_lie_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each scaled weight is 4 MB: mapped, it is none of this process's own memory, and right to the bit."""
    monkeypatch.setattr(mapped, "MAPPED", 1 << 20)
    path = tmp_path / "rules.qtn"
    path.write_text(
        "qtn 1\nrule r {\n match y = Mul(MatMul(x, w: const), s: const scalar)\n replace y = MatMul(x, w * s)\n}\n"
    )
    rules = read_spec(path, STRUCTURES, BACKENDS, allowed=Allowed(python="leave")).rules
    model = parse_model(SCALED, source="model.qir")
    weight = model.graph.initializers["w"].const_value
    assert weight is not None
    expected = weight.numpy() * np.float32(0.5)
    (applied,) = apply_rules(model, rules)
    made = model.graph.initializers["w"].const_value
    assert applied.times == 1
    assert made is not None
    base: Any = made.numpy()
    while isinstance(base, np.ndarray):
        base = base.base
    assert isinstance(base.obj, mmap)
    np.testing.assert_array_equal(made.numpy(), expected)


def test_many_ways_from_one_match_to_another_are_gone_once(tmp_path: Path) -> None:
    """Each equation reads the one before it twice: 2 ** 40 ways lead from the last to the first."""
    path = tmp_path / "rules.qtn"
    chain = "\n".join(f" match a{k} = Add(a{k - 1}, a{k - 1})" for k in range(1, 41))
    path.write_text(f"qtn 1\nrule r {{\n match a0 = Neg(x)\n{chain}\n match y = Relu(z)\n replace y = z\n}}\n")
    with pytest.raises(SpecError, match="nothing leads to this `match`"):
        read_spec(path, STRUCTURES, BACKENDS, allowed=Allowed(python="leave"))
