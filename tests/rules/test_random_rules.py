"""Random rules on random graphs with bodies, several results and results left out, judged by onnxruntime.

Each rule is an identity of real numbers, so that wherever it applies, and in whatever order, outputs stay as they were.
"""

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

RULES = """qtn 1
rule twice { match y = Neg(Neg(x))
 replace y = x
}
rule relu { match y = Relu(Relu(x))
 replace y = Relu(x)
}
rule shared { match y = Relu(h: Relu(x))
 where uses(h) > 1
 replace y = Relu(x)
}
rule sum_of_negatives { match y = Add(Neg(x), Neg(u))
 replace y = Neg(Add(x, u))
}
rule difference { match y = Add(x, Neg(u))
 replace y = Sub(x, u)
}
rule large { match y = Max(x, Neg(x))
 replace y = Abs(x)
}
rule small { match y = Neg(Max(Neg(x), Neg(u)))
 replace y = Min(x, u)
}
rule scales { match y = Mul(Mul(x, a: const), b: const)
 replace y = Mul(x, a * b)
}
rule spread { match y = Mul(Add(x, a: const), b: const)
 replace y = Add(Mul(x, b), a * b)
}
rule first { match a, b = Split(x, n: const){axis = 0}
 match y = Concat(a, b){axis = 0}
 replace y = x
}
rule around { match a, b = Split(Neg(x), n: const){axis = 0}
 let h, k = Split(x, n){axis = 0}
 replace a = Neg(h)
 replace b = Neg(k)
}
rule siblings { match a = Mul(x, v: const float[3, 3])
 match b = Mul(x, w: const float[3, 3])
 replace a, b = Split(Mul(Concat(x, x){axis = 0}, concat(0, v, w)), [3, 3]){axis = 0}
}
rule both { match a = Abs(x)
 match b = Neg(x)
 replace a = Max(x, Mul(x, -1))
 replace b = Mul(x, -1)
}
rule same { match a = Abs(x)
 match b = Abs(x)
 let c = Abs(x)
 replace a = c
 replace b = c
 where uses(a) > 0 and uses(b) > 0 and uses(x) > 1 and uses(x) < 4
}
rule condition { match y = f: If(Not(Not(c)))
 replace y = f(c)
}
rule branch { match y = Abs(Neg(f: If(c)))
 where uses(f) > 0
 replace y = Abs(f(Not(Not(c))))
}
rule drop { match y = f: Dropout(Neg(x))
 replace y = Neg(f(x))
}
rule kept { match y, m = Dropout(x)
 where missing(m)
 replace y = x
}
rule norm { match y, m, i = f: LayerNormalization(Neg(Neg(x)), s)
 replace y, m, i = f(x, s)
}
rule mean { match y, m, i = f: LayerNormalization(Neg(x), s)
 where missing(i) and not missing(m)
 let k, n = f(x, s)
 replace y = Neg(k)
 replace m = Neg(n)
}
rule item { match y = SequenceAt(SequenceConstruct(x, u), 0)
 replace y = x
}
rule later { match y = f: SequenceAt(SequenceConstruct(Neg(x), Neg(u)), i: const)
 replace y = Neg(f(SequenceConstruct(x, u), i))
}
"""
EACH = 5
"""Most nodes of a graph, and of a body."""


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> tuple[SpecRule, ...]:
    path = tmp_path_factory.mktemp("rules") / "rules.qtn"
    path.write_text(RULES)
    return read_spec(path, STRUCTURES, BACKENDS, allowed=Allowed(python="leave")).rules


class Drawing:
    """Matrices of three by three throughout, so that any value may go into any node, in a body too."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw, self.count = draw, 0
        self.weights: list[onnx.TensorProto] = []

    def new(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def constant(self, array: np.ndarray) -> str:
        self.weights.append(numpy_helper.from_array(array, self.new()))
        return str(self.weights[-1].name)

    def nodes(self, outer: list[str], depth: int) -> tuple[list[onnx.NodeProto], list[str]]:
        """Some nodes, and the values that they make."""
        made: list[str] = []
        found: list[onnx.NodeProto] = []
        forms = ["Neg", "Relu", "Abs", "Add", "Max", "constant", "Split", "Dropout", "LayerNormalization", "sequence"]
        for _ in range(self.draw(st.integers(1, EACH))):
            form = self.draw(st.sampled_from([*forms, *(["If", "Loop"] if depth else [])]))
            last = [*made[-2:], *outer[-1:]]
            a, b = (self.draw(st.sampled_from([*outer, *made, *last, *last])) for _ in range(2))
            if self.draw(st.booleans()):
                # what most rules look for stands twice in a row, or behind a Neg
                before = self.draw(st.sampled_from(["Neg", "Neg", form]))
                made += self.form(before, a, b, [*outer, *made], depth, found)
                a = made[-1]
            if self.draw(st.booleans()):
                made += self.form("Neg", b, b, [*outer, *made], depth, found)
                b = self.draw(st.sampled_from([a, made[-1]]))
            made += self.form(form, a, b, [*outer, *made], depth, found)
            if self.draw(st.booleans()):
                made += self.form(
                    self.draw(st.sampled_from(["Neg", "Abs", form])), made[-1], b, [*outer, *made], depth, found
                )
        return found, made

    def form(self, form: str, a: str, b: str, values: list[str], depth: int, into: list[onnx.NodeProto]) -> list[str]:
        out = self.new()

        def node(op: str, read: list[str], results: list[str], **attributes: object) -> None:
            into.append(helper.make_node(op, read, results, name=f"n{len(into)}.{out}", **attributes))

        if form in ("Neg", "Relu", "Abs"):
            node(form, [a], [out])
        elif form in ("Add", "Max"):
            node(form, [a, b], [out])
        elif form == "constant":
            shape = self.draw(st.sampled_from([(), (3, 3)]))
            op = self.draw(st.sampled_from(["Mul", "Mul", "Add"]))
            node(op, [a, self.constant(np.full(shape, self.draw(st.sampled_from([-1, 0.5, 1])), np.float32))], [out])
        elif form == "Split":
            node("Split", [a, self.constant(np.array([1, 2]))], [f"{out}.a", f"{out}.b"], axis=0)
            turned = [f"{out}.a", f"{out}.b"][:: self.draw(st.sampled_from([1, -1]))]
            node("Concat", turned, [out], axis=0)
        elif form == "Dropout":
            node("Dropout", [a], [out, ""] if self.draw(st.booleans()) else [out])
        elif form == "LayerNormalization":
            results = self.draw(st.sampled_from([["", ""], [f"{out}.m", ""], ["", f"{out}.i"]]))
            node(form, [a, self.constant(np.array([1, 2, 1], np.float32))], [out, *results], axis=-1)
            if results[0]:
                node("Add", [out, results[0]], [f"{out}.s"])
                return [out, f"{out}.s"]
        elif form == "sequence":
            node("SequenceConstruct", [a, b], [f"{out}.q"])
            node("SequenceAt", [f"{out}.q", self.constant(np.array(self.draw(st.integers(0, 1))))], [out])
        elif form == "If":
            condition = self.draw(st.sampled_from(["t", "f", f"{out}.n"]))
            if condition == f"{out}.n":
                node("Not", ["t"], [f"{out}.o"])
                node("Not", [f"{out}.o"], [condition])
            branches = {name: self.body(name, values, depth) for name in ("then_branch", "else_branch")}
            node("If", [condition], [out], **branches)
        else:
            node("Loop", [self.constant(np.array(2)), "", a], [out, f"{out}.all"], body=self.loop(values, depth))
        return [out]

    def body(self, name: str, values: list[str], depth: int) -> onnx.GraphProto:
        nodes, made = self.nodes(values, depth - 1)
        return helper.make_graph(nodes, name, [], [info(made[-1])])

    def loop(self, values: list[str], depth: int) -> onnx.GraphProto:
        number, go, carried, again = (self.new() for _ in range(4))
        nodes, made = self.nodes([*values, carried], depth - 1)
        # what grows from round to round would soon be no number
        kept, collected = self.new(), self.new()
        nodes.append(helper.make_node("Identity", [go], [again]))
        nodes.append(helper.make_node("Tanh", [made[-1]], [kept]))
        nodes.append(helper.make_node("Neg", [self.draw(st.sampled_from([*made, carried]))], [collected]))
        inputs = [
            helper.make_tensor_value_info(number, TensorProto.INT64, []),
            helper.make_tensor_value_info(go, TensorProto.BOOL, []),
            info(carried),
        ]
        outputs = [helper.make_tensor_value_info(again, TensorProto.BOOL, []), info(kept), info(collected)]
        return helper.make_graph(nodes, "body", inputs, outputs)


def info(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [3, 3])


@st.composite
def models(draw: st.DrawFn) -> onnx.ModelProto:
    drawing = Drawing(draw)
    nodes, made = drawing.nodes(["x", "u"], 2)
    outputs = dict.fromkeys([made[-1], *draw(st.lists(st.sampled_from(made), max_size=3))])
    flags = [helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in ("t", "f")]
    graph = helper.make_graph(
        nodes, "g", [info("x"), info("u"), *flags], [info(name) for name in outputs], drawing.weights
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return onnx.shape_inference.infer_shapes(model, data_prop=True)


def outputs_of(proto: onnx.ModelProto) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    held = {
        "x": rng.normal(size=[3, 3]).astype(np.float32),
        "u": rng.normal(size=[3, 3]).astype(np.float32),
        "t": np.array(True),
        "f": np.array(False),
    }
    wanted = {value.name for value in session.get_inputs()}
    return [np.asarray(found) for found in session.run(None, {k: v for k, v in held.items() if k in wanted})]


def hold(rules: tuple[SpecRule, ...], proto: onnx.ModelProto) -> None:
    onnx.checker.check_model(proto, full_check=True)
    before, model = outputs_of(proto), ir.from_proto(proto)
    apply_rules(model, rules)
    after = ir.to_proto(model)
    onnx.checker.check_model(after, full_check=True)
    for old, new in ((proto.graph.input, after.graph.input), (proto.graph.output, after.graph.output)):
        assert [value.SerializeToString() for value in old] == [value.SerializeToString() for value in new]
    for x, y in zip(before, outputs_of(after), strict=True):
        # twenty float32 operations in another order; a normalisation of equal numbers divides by its epsilon
        np.testing.assert_allclose(y, x, rtol=1e-3, atol=1e-3 * max(1, float(np.abs(x).max())))


CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=40, deadline=None, suppress_health_check=CHECKS, derandomize=True)
@given(proto=models(), data=st.data())
def test_identities_keep_what_a_graph_computes(
    rules: tuple[SpecRule, ...], proto: onnx.ModelProto, data: st.DataObject
) -> None:
    hold(tuple(data.draw(st.lists(st.sampled_from(rules), min_size=2, max_size=12, unique=True))), proto)


@pytest.mark.conformance
@settings(max_examples=3000, deadline=None, suppress_health_check=CHECKS)
@given(proto=models(), data=st.data())
def test_more_of_them(rules: tuple[SpecRule, ...], proto: onnx.ModelProto, data: st.DataObject) -> None:
    hold(tuple(data.draw(st.permutations(rules))[: data.draw(st.integers(1, len(rules)))]), proto)
