"""Cases of authors: passes and rules of their own, and every way in which a case fails."""

from dataclasses import dataclass
from typing import Any, ClassVar

import onnx_ir as ir
import pytest
from onnxscript.rewriter import RewriteRuleClassBase

from qtnc.errors import PassError, UsageError
from qtnc.pipeline import PassResult
from qtnc.testing import check_text

MODEL = """
qir 1
model opset {"": 18} ir 10
graph g(%x: f32[n, 4]) -> (%y: f32[n, 4]) {
  %a = Neg(%x) : f32[n, 4]
  %y = Neg(%a) : f32[n, 4]
}
"""


class DoubleNegation(RewriteRuleClassBase):
    def pattern(self, op: Any, x: ir.Value) -> Any:
        return op.Neg(op.Neg(x))

    def rewrite(self, op: Any, x: ir.Value) -> Any:
        return op.Identity(x)


@dataclass(frozen=True)
class Mine:
    """Does what its option says."""

    name: ClassVar[str] = "mine"
    does: str = "nothing"

    def run(self, model: ir.Model) -> PassResult:
        node = model.graph[0]
        if self.does == "refuse":
            raise PassError("no negations, please")
        if self.does == "lie":
            node.name = "renamed"
        if self.does == "change":
            node.op_type = "Relu"
        if self.does == "break":
            node.op_type = "Nonsense"
        return PassResult(model, self.does not in ("nothing", "lie"))


def case(run: str, *lines: str) -> str:
    return "\n".join([f"// RUN: {run}", *lines, MODEL])


def test_rules_of_onnxscript_are_passes() -> None:
    lines = "// CHECK: %y = Identity(%x)", "// CHECK-NOT: Neg"
    model = check_text(case("double-negation", *lines), passes=[DoubleNegation])
    assert [node.op_type for node in model.graph] == ["Identity"]
    after = check_text(case("double-negation,canonicalize", "// CHECK: Identity(%x)"), passes=[DoubleNegation.rule()])
    assert len(after.graph) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (case("mine", "// CHECK: Abs"), 'Couldn\'t match "Abs"'),
        (case("mine{does=lie}", "// CHECK: Neg"), "mine does not own up to its changes"),
        (case("mine{does=change}", "// CHECK: Neg"), "after mine: `y` differs by"),
        (case("mine", "// ERROR: no negations"), "are to refuse with `no negations`; they refuse nothing"),
        (case("mine{does=refuse}", "// ERROR: no zeros"), "what they say is: error: no negations, please"),
    ],
)
def test_what_fails(text: str, expected: str) -> None:
    with pytest.raises(AssertionError, match=expected):
        check_text(text, passes=[Mine])


def test_what_is_allowed() -> None:
    check_text(case("mine{does=change}", "// WITHIN: 2", "// CHECK: Relu"), passes=[Mine])
    check_text(case("mine{does=refuse}", "// ERROR: no negations"), passes=[Mine])
    check_text(case("mine", "// CHECK: Neg"), passes=[Mine("nothing")])


def test_what_breaks_the_model_is_named() -> None:
    with pytest.raises(PassError, match="pass `mine` of the test leaves what is no valid ONNX model"):
        check_text(case("mine{does=break}", "// CHECK: Neg"), passes=[Mine])


def test_a_malformed_case_is_said() -> None:
    with pytest.raises(ValueError, match="one line `// RUN: pass,...`, and here are 0"):
        check_text(MODEL)
    with pytest.raises(UsageError, match="there is no pass `mne`\n  = help: did you mean `mine`"):
        check_text(case("mne"), passes=[Mine])
