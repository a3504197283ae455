"""Why a condition does not hold, and why what was not to hold does."""

from pathlib import Path

import onnx_ir as ir
import pytest

from qtnc.backends.options import BACKENDS
from qtnc.ir.text.reader import parse_model
from qtnc.plugins.allowed import Allowed
from qtnc.rules.driving import apply_rules
from qtnc.spec.read import read_spec
from qtnc.structures.registry import STRUCTURES

MODEL = """qir 1
model opset {"": 18} ir 10
graph g(%x: f32[2, 4]) -> (%y: f32[2, 4]) {
  weight %c: f32[4] = [1.0, 2.0, 3.0, 4.0]
  %y = Mul(%x, %c) : f32[2, 4] as "scale"
}
"""


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("max(c) > 5", "4 > 5 does not hold"),
        ("not max(c) > 3", "4 > 3 holds"),
        ("not (not max(c) > 5)", "4 > 5 does not hold"),
        ("max(c) > 3 and min(c) > 3", "1 > 3 does not hold"),
        ("max(c) > 5 and min(c) > 3", "4 > 5 does not hold"),
        ("max(c) > 5 or min(c) > 3", "4 > 5 does not hold; 1 > 3 does not hold"),
        ("not (max(c) > 3 and min(c) > 0)", "4 > 3 holds and 1 > 0 holds"),
        ("not (max(c) > 5 or min(c) > 0)", "1 > 0 holds"),
        ("not (max(c) > 3 or min(c) > 3)", "4 > 3 holds"),
        ("all(c > 1)", "all of a constant of 4 elements does not hold"),
        ("not any(c > 1)", "any of a constant of 4 elements holds"),
        ("is_output(x)", "it does not hold"),
        ("not is_output(y)", "it holds"),
        ('name(y) ~ "up"', "it is `sc\\x1b[2Jale`"),
        ('not name(y) ~ "sc*"', "it is `sc\\x1b[2Jale`"),
    ],
)
def test_the_reason_is_what_is_there(condition: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.qtn"
    path.write_text(f"qtn 1\nrule r {{\n match y = Mul(x, c: const)\n where {condition}\n replace y = Add(x, c)\n}}\n")
    rules = read_spec(path, STRUCTURES, BACKENDS, allowed=Allowed(python="leave")).rules
    model = parse_model(MODEL, source="model.qir")
    (node,) = model.graph
    assert isinstance(node, ir.Node)
    node.name = "sc\x1b[2Jale"
    (applied,) = apply_rules(model, rules)
    assert applied.nearest is not None
    assert applied.nearest.reason == reason
