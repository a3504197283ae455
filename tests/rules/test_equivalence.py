"""Whatever the graph, the rules of the cookbook leave a valid model that computes the same."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from qtnc.backends.options import BACKENDS
from qtnc.rules.driving import apply_rules
from qtnc.rules.rule import SpecRule
from qtnc.source import Source
from qtnc.spec.read import read_source
from qtnc.structures.registry import STRUCTURES

PAGE = (Path(__file__).parents[2] / "docs" / "cookbook.md").read_text(encoding="utf-8")
TEXT = "".join(re.findall(r"^```qtn\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
SIDE = 4
OPS = ("MatMul", "Add", "Mul", "Div", "Sub", "Neg", "Relu", "Clip", "Abs", "Transpose", "Reshape", "Split", "Concat")


def cookbook() -> tuple[SpecRule, ...]:
    """All rules but the approximate one."""
    spec = read_source(Source("cookbook", f"qtn 1\n{TEXT}"), STRUCTURES, BACKENDS, Path())
    return tuple(rule for rule in spec.rules if rule.within is None)


RULES = cookbook()


class Drawing:
    """A random graph on (4, 4) values, constants among them, some read twice, some handed out."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.rng = np.random.default_rng(draw(st.integers(0, 2**16)))
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, np.ndarray] = {}
        self.values = ["x", "z"]

    def constant(self) -> str:
        shape = self.draw(st.sampled_from([(), (1,), (SIDE,), (SIDE, SIDE)]))
        numbers = (
            self.rng.normal(size=shape) if self.draw(st.booleans()) else np.full(shape, self.draw(st.integers(0, 2)))
        )
        return self.weight(np.asarray(numbers, np.float32))

    def weight(self, array: np.ndarray) -> str:
        name = f"w{len(self.weights)}"
        self.weights[name] = array
        return name

    def value(self) -> str:
        return str(self.draw(st.sampled_from(self.values[-4:])))

    def node(self, op: str, inputs: list[str], outputs: int = 1, **attributes: Any) -> list[str]:
        names = [f"v{len(self.nodes)}_{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name=f"n{len(self.nodes)}", **attributes))
        return names

    def step(self) -> None:
        op = self.draw(st.sampled_from(OPS))
        if op == "MatMul":
            weight = self.weight(self.rng.normal(size=(SIDE, SIDE)).astype(np.float32) / 2)
            found = self.node(op, [self.value(), weight])
        elif op in ("Add", "Mul", "Sub", "Div"):
            other = self.constant() if self.draw(st.booleans()) else self.value()
            if op == "Div":
                other = self.weight(np.float32(self.draw(st.sampled_from([0.5, 2.0, 3.0]))))
            pair = [self.value(), other]
            found = self.node(op, pair if op in ("Sub", "Div") or self.draw(st.booleans()) else pair[::-1])
        elif op == "Transpose":
            found = self.node(op, [self.value()], perm=[1, 0])
        elif op == "Clip":
            found = self.node(op, [self.value(), self.weight(np.float32(0))])
        elif op == "Reshape":
            middle = self.node(op, [self.value(), self.weight(np.array([2, -1]))])
            found = self.node(op, [middle[0], self.weight(np.array([SIDE, SIDE]))])
        elif op == "Split":
            halves = self.node(op, [self.value()], 2, axis=0, num_outputs=2)
            found = self.node("Concat", halves[:: self.draw(st.sampled_from([1, -1]))], axis=0)
        elif op == "Concat":
            both = self.node(op, [self.value(), self.value()], axis=1)
            found = self.node(
                "MatMul", [both[0], self.weight(self.rng.normal(size=(2 * SIDE, SIDE)).astype(np.float32))]
            )
        else:
            found = self.node(op, [self.value()])
        self.values += found

    def model(self) -> onnx.ModelProto:
        for _ in range(self.draw(st.integers(1, 14))):
            self.step()
        handed_out = [self.values[-1], *self.draw(st.lists(st.sampled_from(self.values[2:]), max_size=2))]
        shaped = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [SIDE, SIDE]) for n in dict.fromkeys(handed_out)]
        inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [SIDE, SIDE]) for n in ("x", "z")]
        weights = [numpy_helper.from_array(array, name) for name, array in self.weights.items()]
        graph = helper.make_graph(self.nodes, "g", inputs, shaped, weights)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
        return onnx.shape_inference.infer_shapes(made)


def outputs(proto: onnx.ModelProto) -> dict[str, np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(1)
    feeds = {name: rng.normal(size=(SIDE, SIDE)).astype(np.float32) for name in ("x", "z")}
    names = [output.name for output in proto.graph.output]
    return dict(zip(names, session.run(names, feeds), strict=True))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_cookbook_leaves_what_is_computed(data: st.DataObject) -> None:
    proto = Drawing(data.draw).model()
    before = outputs(proto)
    model = ir.from_proto(proto)
    apply_rules(model, RULES)
    after_proto = ir.to_proto(model)
    onnx.checker.check_model(after_proto, full_check=True)
    assert [(v.name, v.type) for v in after_proto.graph.output] == [(v.name, v.type) for v in proto.graph.output]
    after = outputs(after_proto)
    for name, array in before.items():
        scale = max(float(np.abs(array[np.isfinite(array)]).max(initial=0)), 1.0)
        np.testing.assert_allclose(after[name], array, rtol=1e-3, atol=1e-4 * scale)
