"""Rules of the cookbook on random graphs: what they make is valid, and computes the same in onnxruntime."""

import re
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from qtnc.backends.options import BACKENDS
from qtnc.plugins.allowed import Allowed
from qtnc.rules.driving import apply_rules
from qtnc.rules.rule import SpecRule
from qtnc.spec.read import read_spec
from qtnc.structures.registry import STRUCTURES

PAGE = Path(__file__).parents[2] / "docs" / "cookbook.md"
TYPES = {TensorProto.FLOAT: np.float32, TensorProto.FLOAT16: np.float16, TensorProto.INT64: np.int64}
UNARY = ("Relu", "Abs", "Neg", "Sign")
BINARY = ("Add", "Sub", "Mul", "Div")


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> tuple[SpecRule, ...]:
    """All of them but the approximate one."""
    blocks = re.findall(r"^```qtn\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    path = tmp_path_factory.mktemp("rules") / "rules.qtn"
    path.write_text("qtn 1\n" + "\n".join(blocks))
    found = read_spec(path, STRUCTURES, BACKENDS, allowed=Allowed(python="leave")).rules
    return tuple(rule for rule in found if rule.within is None)


@st.composite
def models(draw: st.DrawFn) -> onnx.ModelProto:
    """Square matrices throughout, so that any value may go into any node."""
    size, kind = 3, draw(st.sampled_from(sorted(TYPES)))
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []
    values = ["x", "u"]

    def constant(array: np.ndarray) -> str:
        weights.append(numpy_helper.from_array(array, f"c{len(weights)}"))
        return weights[-1].name

    def numbers() -> str:
        shape = draw(st.sampled_from([(), (size,), (size, size), (1, 1)]))
        held = draw(st.sampled_from([0, 1, 2, 3]))
        return constant(np.full(shape, held, TYPES[kind]) if held != 3 else np.ones(shape, TYPES[kind]) * 2)

    for k in range(draw(st.integers(2, 8))):
        out, read = f"v{k}", draw(st.sampled_from(values))
        form = draw(st.sampled_from(["unary", "binary", "constant", "MatMul", "Transpose", "Reshape", "Split", "If"]))
        if form == "unary":
            nodes.append(helper.make_node(draw(st.sampled_from(UNARY)), [read], [out], name=out))
        elif form in ("binary", "constant"):
            # whole numbers divided by zero end the process
            ops = BINARY if kind != TensorProto.INT64 else BINARY[:3]
            other = numbers() if form == "constant" else draw(st.sampled_from(values))
            nodes.append(helper.make_node(draw(st.sampled_from(ops)), [read, other], [out], name=out))
        elif form == "MatMul":
            held = constant(np.arange(size * size).reshape(size, size).astype(TYPES[kind]) % 3)
            nodes.append(helper.make_node("MatMul", [read, held], [out], name=out))
        elif form == "Transpose":
            nodes.append(helper.make_node("Transpose", [read], [out], name=out, perm=[1, 0]))
        elif form == "Reshape":
            flat, back = constant(np.array([size * size])), constant(np.array([size, size]))
            nodes.append(helper.make_node("Reshape", [read, flat], [f"{out}.flat"], name=f"{out}.flat"))
            nodes.append(helper.make_node("Reshape", [f"{out}.flat", back], [out], name=out))
        elif form == "Split":
            sizes = constant(np.array([1, size - 1]))
            nodes.append(helper.make_node("Split", [read, sizes], [f"{out}.a", f"{out}.b"], name=f"{out}.s", axis=0))
            nodes.append(helper.make_node("Concat", [f"{out}.b", f"{out}.a"], [out], name=out, axis=0))
        else:
            branches = [
                helper.make_graph(
                    [
                        helper.make_node(op, [read], [f"{out}.{op}"]),
                        helper.make_node("Relu", [f"{out}.{op}"], [f"{out}.{op}.y"]),
                    ],
                    op, [], [helper.make_tensor_value_info(f"{out}.{op}.y", kind, [size, size])],
                )
                for op in ("Relu", "Neg")
            ]  # fmt: skip
            nodes.append(
                helper.make_node("If", ["t"], [out], name=out, then_branch=branches[0], else_branch=branches[1])
            )
        values.append(out)
    made = values[2:]
    outputs = [made[-1], *draw(st.lists(st.sampled_from(made[:-1] or made), unique=True, max_size=2))]
    graph = helper.make_graph(
        nodes,
        "g",
        [
            *(helper.make_tensor_value_info(name, kind, [size, size]) for name in ("x", "u")),
            helper.make_tensor_value_info("t", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info(name, kind, [size, size]) for name in dict.fromkeys(outputs)],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def outputs_of(proto: onnx.ModelProto) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    kind = TYPES[proto.graph.input[0].type.tensor_type.elem_type]
    held = np.arange(1, 10).reshape(3, 3)
    feed = {"x": (held % 4 - 1).astype(kind), "u": (held % 5 + 1).astype(kind), "t": np.array(True)}
    return [np.asarray(found) for found in session.run(None, feed)]


def hold(rules: tuple[SpecRule, ...], proto: onnx.ModelProto) -> None:
    onnx.checker.check_model(proto, full_check=True)
    model = ir.from_proto(proto)
    apply_rules(model, rules)
    after = ir.to_proto(model)
    onnx.checker.check_model(after, full_check=True)
    for before_, after_ in ((proto.graph.input, after.graph.input), (proto.graph.output, after.graph.output)):
        assert [(v.name, v.type.tensor_type.elem_type) for v in after_] == [
            (v.name, v.type.tensor_type.elem_type) for v in before_
        ]
    rtol = 2e-2 if proto.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT16 else 1e-4
    for old, new in zip(outputs_of(proto), outputs_of(after), strict=True):
        known = np.isfinite(old.astype(np.float64))
        np.testing.assert_allclose(
            new[known], old[known], rtol=rtol, atol=rtol * max(1, np.abs(old[known]).max(initial=0))
        )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(proto=models())
def test_rules_keep_what_a_graph_computes(rules: tuple[SpecRule, ...], proto: onnx.ModelProto) -> None:
    hold(rules, proto)
