"""Rules of a spec from the command line: applied, counted, explained, traced."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

Run = Callable[..., Any]

RULE = """rule fold_scale {
    match   y = Mul(MatMul(x, w: const), s: const scalar)
    where   uses(w) == 1
    replace y = MatMul(x, w * s)
    example {
        before y = Mul(MatMul(x: float[2, 3], w: const float[3, 4]), 2)
        after  y = MatMul(x, w * 2)
    }
}
"""

NEVER = """rule never {
    match   y = Sigmoid(MatMul(x, w: const))
    replace y = MatMul(x, w)
}
"""

SPEC = f"""qtn 1
bind batch = 4
optimize memory
{RULE}{NEVER}select all = MatMul where name ~ "down"
rewrite all -> lowrank(rank: 8)
emit onnx
verify outputs within 0.1%
"""


@pytest.fixture
def home(place: Any, toys: Any) -> Any:
    """A model with a scale behind its first product."""
    toys.write(toys.scaled(), place.model)
    place.spec.write_text(SPEC)
    return place


def outputs(path: Any, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found: np.ndarray = session.run(None, {session.get_inputs()[0].name: x})[0]
    return found


def test_a_compile_applies_them_and_counts_weights_from_before(qtnc: Run, home: Any) -> None:
    done = qtnc("compile", home.model, home.spec, "-o", home.out, "--verify-each")
    assert done.code == 0, done.err
    assert "rule fold_scale (spec.qtn:4): applied once\n" in done.out
    assert "rule never (spec.qtn:13): never applied; there is no Sigmoid\n" in done.out
    plan = json.loads((home.out / "plan.json").read_text())
    assert [(rule["rule"], rule["times"]) for rule in plan["rules"]] == [("fold_scale", 1), ("never", 0)]
    whole = onnx.load(home.model).graph
    assert plan["model_parameters"] == sum(int(np.prod(w.dims)) for w in whole.initializer)
    graph = onnx.load(home.out / "onnx" / "model.onnx").graph
    assert "Mul" not in {node.op_type for node in graph.node}
    x = np.random.default_rng(0).normal(size=[4, whole.input[0].type.tensor_type.shape.dim[1].dim_value])
    found = [outputs(path, x.astype(np.float32)) for path in (home.model, home.out / "onnx" / "model.onnx")]
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4, atol=1e-5)


def test_a_plan_traces_them(qtnc: Run, home: Any) -> None:
    done = qtnc("plan", home.model, home.spec, "--trace", "rewrite")
    assert done.code == 0, done.err
    (line,) = [line for line in done.err.splitlines() if line.startswith("fold_scale")]
    assert line.endswith("(Mul): replaced by MatMul")
    assert "spec.qtn:18 at down (MatMul): replaced by lowrank" in done.err


def test_a_trace_may_be_of_one_rule(qtnc: Run, home: Any) -> None:
    whole = qtnc("plan", home.model, home.spec, "--trace", "rewrite").err.splitlines()
    assert {line.split()[0] for line in whole} == {"fold_scale", "spec.qtn:18"}
    one = qtnc("plan", home.model, home.spec, "--trace-rule", "fold_scale").err.splitlines()
    assert one == [line for line in whole if line.startswith("fold_scale")]
    path = home.folder / "trace.jsonl"
    done = qtnc("plan", home.model, home.spec, "--trace-rule", "fold_scael", "--trace-file", path)
    assert path.read_text() == ""
    assert done.err.startswith("trace: no rule `fold_scael` was tried: did you mean `fold_scale`?")


def test_a_trace_is_data(qtnc: Run, home: Any) -> None:
    home.spec.write_text(SPEC.replace("uses(w) == 1", "max(abs(s)) < 1e-9"))
    path = home.folder / "trace.jsonl"
    assert qtnc("plan", home.model, home.spec, "--trace-file", path).code == 0
    told = [json.loads(line) for line in path.read_text().splitlines()]
    (declined,) = [attempt for attempt in told if attempt["rule"] == "fold_scale"]
    assert declined["outcome"] == "declined"
    assert declined["part"] == "max(abs(s)) < 1e-9"
    assert declined["place"].endswith("spec.qtn:6:13")
    assert declined["reason"].endswith(" < 1e-09 does not hold")
    layers = [attempt for attempt in told if attempt["rule"] == "spec.qtn:18"]
    assert [attempt["made"] for attempt in layers] == [["lowrank"]]


def test_a_trace_replaces_no_other_file(qtnc: Run, home: Any) -> None:
    for file in (home.model, home.spec):
        before = file.read_bytes()
        done = qtnc("plan", home.model, home.spec, "--trace-file", file)
        assert (done.code, "ends in .jsonl" in done.err) == (2, True)
        assert file.read_bytes() == before
    nowhere = qtnc("plan", home.model, home.spec, "--trace-file", home.folder / "no" / "t.jsonl")
    assert (nowhere.code, "No such file" in nowhere.err) == (1, True)


def test_why_says_what_a_rule_lacks(qtnc: Run, home: Any) -> None:
    home.spec.write_text(SPEC.replace("s: const scalar", "s: const [2]"))
    done = qtnc("why", home.model, home.spec, "up")
    assert done.code == 0, done.err
    assert "    no: `s: const [2]`: `" in done.out
    assert "    no: neither it nor what reads it is a Sigmoid" in done.out
    home.spec.write_text(SPEC)
    assert "    yes: it made this layer" in qtnc("why", home.model, home.spec, "up").out


def test_check_carries_out_examples_and_counts(qtnc: Run, home: Any) -> None:
    done = qtnc("check", home.model, home.spec)
    assert done.code == 0, done.err
    first, second, third, *_ = done.out.splitlines()
    assert first.startswith("1 example of rules: outputs move by ")
    assert second == "rule fold_scale (spec.qtn:4): applied once"
    assert third == "rule never (spec.qtn:13): never applied; there is no Sigmoid"
    told = json.loads(qtnc("check", home.spec, "--format", "json").out)
    assert [example["rule"] for example in told["examples"]] == ["fold_scale"]


WRONG = {
    "another result": (("after  y = MatMul(x, w * 2)", "after  y = MatMul(x, w * 3)"), "makes MatMul(x, const[3, 4])"),
    "another form": (
        ("after  y = MatMul(x, w * 2)", "after  y = MatMul(Mul(x, 2), w)"),
        "and `after` says MatMul(Mul(x, 2)",
    ),
    "another value": (("replace y = MatMul(x, w * s)", "replace y = MatMul(x, w)"), "moves what this computes by"),
    "no match": (
        (
            "y = Mul(MatMul(x: float[2, 3], w: const float[3, 4]), 2)",
            "y = Mul(Gemm(x: float[2, 3], w: const float[3, 4]), 2)",
        ),
        "nearest at `y`: node `Gemm.0` is a Gemm",
    ),
    "no such node": (("before y = Mul(", "before y = Div("), "does not apply; there is no Mul"),
    "left alone": (("        after  y = MatMul(x, w * 2)\n", ""), "is to leave this as it is, and makes MatMul("),
}


@pytest.mark.parametrize(("change", "said"), WRONG.values(), ids=WRONG)
def test_an_example_that_does_not_hold(qtnc: Run, home: Any, change: tuple[str, str], said: str) -> None:
    after = {"another value": ("after  y = MatMul(x, w * 2)", "after  y = MatMul(x, w)")}
    text = RULE.replace(*change)
    if change[1].endswith("MatMul(x, w)"):
        text = text.replace(*after["another value"])
    home.spec.write_text("qtn 1\n" + text)
    done = qtnc("check", home.spec)
    assert done.code == 1
    assert said in done.err
    assert "spec.qtn:" in done.err


def test_a_result_that_is_handed_out_becomes_no_input(qtnc: Run, home: Any) -> None:
    example = "    example {\n        before y = Abs(x: float[2])\n        after  y = x\n    }\n"
    home.spec.write_text(f"qtn 1\nrule a {{\n    match   y = Abs(x)\n    replace y = x\n{example}}}\n")
    done = qtnc("check", home.spec)
    reason = "`y` is handed out, and no node computes `x`, to stand in its place"
    assert f"rule `a` does not apply; nearest at `y`: {reason}\n" in done.err


HOLD = {
    "defaults that one side leaves out": """rule scale {
    match   y = Mul(Gemm(x, w, b: const){alpha = a, beta = 1, transA = 0, transB = t}, s: const scalar)
    replace y = Gemm(x, w, b * s){alpha = a * max(s), beta = 1, transB = t}
    example {
        before y = Mul(Gemm(x: float[2, 3], w: float[3, 4], b: const float[4]), 0.5)
        after  y = Gemm(x, w, b * 0.5){alpha = 0.5}
    }
}
""",
    "an operator of a newer opset": """rule norm {
    match   y = Mul(Div(x, Sqrt(Add(ReduceMean(Mul(x, x), [-1]), e: const scalar))), g: const vector)
    replace y = RMSNormalization(x, g){epsilon = max(e)}
    example {
        before y = Mul(Div(x: float[2, 8], Sqrt(Add(ReduceMean(Mul(x, x), [-1]), 1e-4))), g: const float[8])
        after  y = RMSNormalization(x, g){epsilon = 1e-4}
    }
}
""",
}


@pytest.mark.parametrize("rule", HOLD.values(), ids=HOLD)
def test_an_example_holds(rule: str, qtnc: Run, home: Any) -> None:
    home.spec.write_text("qtn 1\n" + rule)
    done = qtnc("check", home.spec)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("1 example of rules: ")


def test_a_negated_condition_says_what_holds(qtnc: Run, home: Any) -> None:
    home.spec.write_text(SPEC.replace("uses(w) == 1", "not (uses(w) == 1 and s > 0)"))
    done = qtnc("check", home.spec)
    assert "does not apply; nearest at `y`: 1 == 1 holds and 2 > 0 holds (`not (uses(w)" in done.err


def test_an_operator_that_came_later_is_named_with_its_opset(qtnc: Run, home: Any) -> None:
    home.spec.write_text("qtn 1\nrule a {\n    match   y = Relu(x)\n    replace y = Gelu(x)\n}\nemit onnx\n")
    done = qtnc("check", home.model, home.spec)
    assert done.code == 0, done.err
    assert "never applied; nearest at `relu`: opset 18 has no operator `Gelu`, which came with 20\n" in done.out
    home.spec.write_text(home.spec.read_text().replace("emit onnx", "emit onnx(opset: 20)"))
    assert "applied once" in qtnc("check", home.model, home.spec).out


def test_an_approximate_rule_says_how_much(qtnc: Run, home: Any) -> None:
    text = """qtn 1
rule fast {
    match   y = Tanh(x)
    replace y = Clip(x, -1, 1)
    within  SHARE
    example {
        before y = Tanh(Mul(x: float[64], 0.5))
        after  y = Clip(Mul(x, 0.5), -1, 1)
    }
}
"""
    home.spec.write_text(text.replace("SHARE", "40%"))
    assert qtnc("check", home.spec).code == 0
    home.spec.write_text(text.replace("SHARE", "1%"))
    done = qtnc("check", home.spec)
    assert done.code == 1
    assert "and may move it by 1%" in done.err


def test_a_collection_is_applied_to_a_file(qtnc: Run, home: Any) -> None:
    home.spec.write_text("qtn 1\n" + RULE)
    done = qtnc("opt", home.model, "--rules", home.spec, "--trace", "rewrite")
    assert done.code == 0, done.err
    assert "Mul(" not in done.out.replace("MatMul(", "")
    assert "replaced by MatMul" in done.err
    nothing = qtnc("opt", home.model)
    assert (nothing.code, nothing.err.startswith("error: nothing to run")) == (2, True)
    refused = qtnc("compile", home.model, home.spec, "-o", home.out)
    assert refused.code == 1
    assert "a collection of rules, and emits nothing" in refused.err


def test_a_loop_ends_the_command(qtnc: Run, home: Any) -> None:
    home.spec.write_text(SPEC.replace("replace y = MatMul(x, w * s)", "replace y = Mul(s, MatMul(x, w))"))
    done = qtnc("plan", home.model, home.spec)
    assert done.code == 1
    assert "spec.qtn:4:1: error: rules do not come to an end: fold_scale -> fold_scale, at `" in done.err


def test_a_rule_that_makes_what_onnx_has_not_is_named(qtnc: Run, home: Any) -> None:
    rule = "rule hurry {\n    match   y = Relu(x)\n    replace y = com.microsoft.QuickGelu(x)\n}\n"
    home.spec.write_text(f"qtn 1\n{rule}emit onnx\n")
    done = qtnc("compile", home.model, home.spec, "-o", home.out)
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "error: com.microsoft.QuickGelu is no standard operator, and no others are emitted "
        "(1 time, first `relu.hurry_0`)\n"
        "  = help: rule `hurry` makes it: let it make a standard one, of a newer opset by `emit onnx(opset: 20)`\n"
    )
    for command in ("plan", "check"):  # a compile fits for long before it comes to emit
        told = qtnc(command, home.model, home.spec)
        assert told.code == 0, told.err
        assert f"note: {done.err.removeprefix('error: ').strip().replace(chr(10) + '  = help', '')}" in told.out
    assert len(json.loads(qtnc("check", home.model, home.spec, "--format", "json").out)["notes"]) == 1
    home.spec.write_text(f"qtn 1\n{rule}emit torch\n")
    assert "note: com.microsoft.QuickGelu is" in qtnc("plan", home.model, home.spec).out
    done = qtnc("compile", home.model, home.spec, "-o", home.out)
    assert done.err.endswith("help: export the model without it, or rewrite it with a rule\n")


def test_left_out_by_name(qtnc: Run, home: Any) -> None:
    done = qtnc("compile", home.model, home.spec, "-o", home.out, "--disable-pass", "apply-rules")
    assert done.code == 0, done.err
    assert "Mul" in {node.op_type for node in onnx.load(home.out / "onnx" / "model.onnx").graph.node}


ENDLESS = {
    "doubled": ("concat(1, w, w)", "Slice(MatMul(x, CONSTANT), [0], [n], [1])", 1, "rules make constants without end"),
    "a huge product": (
        "reshape(w, [384, 1]) @ full([1, 1Gi], 2)",
        "MatMul(x, CONSTANT)",
        0,
        "of 1,073,741,824 elements",
    ),
    "a tower": ("w * 9 ** 9999999", "MatMul(x, CONSTANT)", 0, "a number too large"),
    "out of a list": ("w * item([1, 2], 9)", "MatMul(x, CONSTANT)", 0, "index 9 is out of bounds"),
    "by zero": ("w * (1 / 0)", "MatMul(x, CONSTANT)", 0, "division by zero"),
    "strings": ("cast(w, string)", "MatMul(x, CONSTANT)", 0, "no number is of that type"),
    "a network": ("w", "qtn.LowRank(x, CONSTANT)", 0, "no rule makes a new qtn.LowRank"),
}


@pytest.mark.parametrize(("constant", "made", "code", "said"), ENDLESS.values(), ids=ENDLESS)
def test_what_cannot_be_computed_is_said(qtnc: Run, home: Any, constant: str, made: str, code: int, said: str) -> None:
    text = f"rule r {{\n    match   y = MatMul(x, w: const [16, n])\n    replace y = {made}\n}}\n"
    home.spec.write_text(f"qtn 1\n{text.replace('CONSTANT', constant)}")
    done = qtnc("check", home.model, home.spec)
    assert done.code == code, done.err
    assert said in (done.err if code else done.out)
