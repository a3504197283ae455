"""Graphs that no exporter writes every day: bodies, results left out, sequences, texts, outputs that are one value.

Each is rewritten, or declined for a reason; either way the model is valid, has the inputs and outputs that it had, and
computes in onnxruntime what it computed.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx import parser

from qtnc.backends.options import BACKENDS
from qtnc.plugins.allowed import Allowed
from qtnc.rules.driving import Applied, apply_rules
from qtnc.spec.read import read_spec
from qtnc.structures.registry import STRUCTURES

Apply = Callable[[str, str], tuple[onnx.ModelProto, tuple[Applied, ...]]]

HEADER = '<ir_version: 10, opset_import: ["": 18, "my": 1]>\n'


def outputs_of(proto: onnx.ModelProto) -> list[Any]:
    """What a model computes of seeded inputs, three for an axis without a size; numbers are two."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    rng, feed = np.random.default_rng(0), {}
    for value in session.get_inputs():
        shape = [size if isinstance(size, int) else 3 for size in value.shape]
        made = {
            "tensor(float)": rng.normal(size=shape).astype(np.float32),
            "tensor(bool)": np.ones(shape, np.bool_),
            "tensor(int64)": np.full(shape, 2),
            "tensor(string)": np.full(shape, "x\0y", object),
        }
        feed[value.name] = made[value.type]
    return list(session.run(None, feed))


def interface(proto: onnx.ModelProto) -> list[bytes]:
    return [value.SerializeToString() for value in (*proto.graph.input, *proto.graph.output)]


@pytest.fixture
def applied(tmp_path: Path) -> Apply:
    """Rewrite a graph in onnx's text by rules, and hold the result to the original."""

    def apply(graph: str, rules: str) -> tuple[onnx.ModelProto, tuple[Applied, ...]]:
        path = tmp_path / "rules.qtn"
        path.write_text("qtn 1\n" + rules)
        proto = onnx.shape_inference.infer_shapes(parser.parse_model(HEADER + graph), data_prop=True)
        onnx.checker.check_model(proto, full_check=True)
        model = ir.from_proto(proto)
        done = apply_rules(model, read_spec(path, STRUCTURES, BACKENDS, allowed=Allowed(python="leave")).rules)
        after = ir.to_proto(model)
        onnx.checker.check_model(after, full_check=True)
        assert interface(after) == interface(proto)
        for old, new in zip(outputs_of(proto), outputs_of(after), strict=True):
            if old.dtype == object:
                assert (old == new).all()
            else:
                # a handful of float32 operations in another order
                np.testing.assert_allclose(new, old, rtol=1e-4, atol=1e-5)
        return after, done

    return apply


def operators(proto: onnx.ModelProto) -> list[str]:
    """Operators in order, those of bodies behind the node that holds them."""

    def of(graph: onnx.GraphProto) -> list[str]:
        found = []
        for node in graph.node:
            found.append(node.op_type)
            for attribute in node.attribute:
                found += of(attribute.g) if attribute.type == onnx.AttributeProto.GRAPH else []
        return found

    return of(proto.graph)


TWICE = "rule twice { match y = Neg(Neg(x))\n replace y = x\n}\n"
RELU = "rule relu { match y = Relu(Relu(x))\n replace y = Relu(x)\n}\n"
SHARED = "rule relu { match y = Relu(h: Relu(x))\n where uses(h) > 0\n replace y = Relu(x)\n}\n"
NORM = "g (float[3,4] x) => (float[3,4] y, float[3,1] i) <float[4] s={1,2,1,2}> "

REWRITTEN: dict[str, tuple[str, str, list[str]]] = {
    "what a rule made is matched with what stands behind it": (
        "g (float[3,4] x) => (float[3,4] y) { a=Relu(x) b=Relu(a) c=Relu(b) y=Relu(c) }",
        RELU,
        ["Relu"],
    ),
    "the same where each is handed out, and none goes": (
        "g (float[3,4] x) => (float[3,4] a, float[3,4] b, float[3,4] y) { a=Relu(x) b=Relu(a) y=Relu(b) }",
        SHARED,
        ["Relu", "Relu", "Relu"],
    ),
    "what is read stands behind what is replaced": (
        "g (float[3,4] x) => (float[3,4] y, float[3,4] z) { y=Abs(x) v=Neg(x) z=Add(x,v) }",
        "rule r { match a = Add(x, v: Neg(x))\n match b = Abs(x)\n where uses(a) > 0\n replace b = Max(x, v)\n}",
        ["Neg", "Max", "Add"],
    ),
    "an operator of a domain that the model had not": (
        "g (float[3,4] x) => (float[3,4] y) { y=Relu(x) }",
        "rule r { match y = Relu(x)\n replace y = com.microsoft.QuickGelu(Max(x, 0)){alpha = 1000.5}\n}",
        ["Max", "QuickGelu"],
    ),
    "what a graph declares of its inputs stays": (
        (
            "g (float[n,4] x, int64[2] s) => (float[m,4] y) <int64[1] k={4}, int64[1] l={3}>"
            "{ t=Concat<axis=0>(l,k) a=Neg(x) b=Neg(a) c=Reshape(b,t) y=Abs(c) }"
        ),
        TWICE + "rule flat { match y = Reshape(x, s)\n replace y = x\n}\n",
        ["Abs"],
    ),
    "a sequence is a value like others": (
        "g (float[3,4] x, int64 i) => (float[3,4] y) { j=Sub(i,i) s=SequenceConstruct(x) a=SequenceAt(s,j) y=Abs(a) }",
        (
            "rule r { match y = Abs(f: SequenceAt(SequenceConstruct(x), i))\n"
            " replace y = f(SequenceConstruct(Abs(x)), i)\n}"
        ),
        ["Sub", "Abs", "SequenceConstruct", "SequenceAt"],
    ),
    "texts are moved, zeros at their ends kept": (
        'g (string[2] x) => (string[4] y) <string[2] w={"a", "b"}> { y=Concat<axis=0>(x,w) }',
        (
            "rule r { match y = Concat(x, w: const [2]){axis = 0}\n"
            " replace y = Concat(x, slice(w, 0, 0, 1), slice(w, 0, 1, 2)){axis = 0}\n}"
        ),
        ["Concat"],
    ),
    "results that are left out stay so": (
        NORM + '{ a=Neg(x) b=Neg(a) y,"",i=LayerNormalization(b,s) }',
        (
            "rule r { match y, m, i = f: LayerNormalization(Neg(Neg(x)), s)\n where missing(m)\n"
            " replace y, m, i = f(x, s)\n}"
        ),
        ["LayerNormalization"],
    ),
    "results that no name is given stay left out": (
        'g (float[3,4] x) => (float[3,4] y) { a=Neg(x) y,""=Dropout(a) }',
        "rule r { match y = f: Dropout(Neg(x))\n replace y = Neg(f(x))\n}",
        ["Dropout", "Neg"],
    ),
    "a body that is done again beside the first": (
        (
            "g (float[3,4] x, bool c) => (float[3,4] y, float[3,4] z) { k=Not(c) a=If(k) <"
            "then_branch = t () => (float[3,4] p) { p=Neg(x) }, else_branch = e () => (float[3,4] q) { q=Relu(x) }>"
            " y=Neg(a) z=Exp(a) }"
        ),
        "rule r { match y = Neg(f: If(Not(c)))\n where uses(f) > 1\n replace y = Sub(f(Not(c)), Mul(f, 2))\n}",
        ["Not", "If", "Neg", "Relu", "Not", "If", "Neg", "Relu", "Mul", "Sub", "Exp"],
    ),
    "a body that is done again when rules have changed it": (
        (
            "g (float[3,4] x, bool c) => (float[3,4] y) { a=If(c) <"
            "then_branch = t () => (float[3,4] p) { d=Neg(x) e=Neg(d) p=Exp(e) }, "
            "else_branch = e () => (float[3,4] q) { q=Relu(x) }> y=Abs(a) }"
        ),
        TWICE + "rule r { match y = Abs(f: If(c))\n replace y = Max(f(c), Neg(f))\n}",
        ["If", "Exp", "Relu", "If", "Exp", "Relu", "Neg", "Max"],
    ),
    "what only a body that is gone reads": (
        (
            "g (float[3,4] x, bool c) => (float[3,4] z) { h=Neg(x) a=If(c) <"
            "then_branch = t () => (float[3,4] p) { p=Neg(h) }, else_branch = e () => (float[3,4] q) { q=Relu(h) }>"
            " y=Neg(a) k=Neg(y) u=Sub(k,k) w=Abs(h) z=Add(w,u) }"
        ),
        (
            "rule drop { match z = Add(w, Sub(Neg(Neg(If(c))), _))\n replace z = w\n}\n"
            "rule r { match y = Abs(h: Neg(x))\n where uses(h) == 1\n replace y = Abs(x)\n}"
        ),
        ["Abs"],
    ),
    "a match that begins in a body": (
        (
            "g (float[3,4] x, bool c) => (float[3,4] z) { h=Neg(x) z=If(c) <"
            "then_branch = t () => (float[3,4] p) { a=Neg(h) p=Abs(a) }, else_branch = e () => (float[3,4]"
            " q) { q=Abs(x) }>"
            " }"
        ),
        TWICE,
        ["If", "Abs", "Abs"],
    ),
    "names that sibling bodies share": (
        (
            "g (float[3,4] x, bool c) => (float[3,4] z) { z=If(c) <"
            "then_branch = t () => (float[3,4] p) { a=Abs(x) p=Neg(a) }, else_branch = e () => (float[3,4] p) "
            "{ a=Abs(x) p=Neg(a) }> }"
        ),
        "rule r { match y = Neg(Abs(x))\n replace y = Min(Neg(x), x)\n}",
        ["If", "Neg", "Min", "Neg", "Min"],
    ),
    "constants of a body and of what is around it": (
        (
            "g (float[3,4] x, bool c) => (float[3,4] z, float[3,4] y) <float w={2}> { h=Neg(x) y=Mul(x,w) z=If(c) <"
            "then_branch = t () => (float[3,4] p) <float v={3}>{ a=Mul(h,v) p=Mul(a,w) }, else_branch = e () => "
            "(float[3,4] p) { a=Mul(x,w) p=Mul(a,w) }> }"
        ),
        "rule r { match y = Mul(Mul(x, a: const), b: const)\n replace y = Mul(x, a * b)\n}",
        ["Neg", "Mul", "If", "Mul", "Mul"],
    ),
    "what a loop carries and collects": (
        (
            "g (float[3,4] x, int64 n) => (float[3,4] z, float[k,3,4] s) <bool t={1}> { h=Neg(x)"
            " z,s=Loop(n,t,h) <body = "
            "b (int64 i, bool ci, float[3,4] v) => (bool co, float[3,4] vo, float[3,4] so) "
            "{ co=Identity(ci) a=Neg(v) d=Neg(a) vo=Add(d,h) so=Identity(v) }> }"
        ),
        TWICE,
        ["Neg", "Loop", "Identity", "Add", "Identity"],
    ),
    "a call of a function of the model": (
        (
            "g (float[3,4] x) => (float[3,4] z) { a=Neg(x) b=my.f(a) z=Neg(b) }\n"
            '<domain: "my", opset_import: ["": 18]> f (p) => (q) { r = Neg(p) q = Neg(r) }'
        ),
        "rule r { match y = Neg(f: my.f(Neg(x)))\n replace y = f(x)\n}",
        ["f"],
    ),
    "no elements": (
        "g (float[0,4] x) => (float[0,4] y) <float[0,4] w={}> { a=Add(x,w) y=Mul(a,w) }",
        "rule r { match y = Mul(x, w: const)\n where all(w == 1)\n replace y = Add(x, w * 2)\n}",
        ["Add", "Add"],
    ),
    "no axes": (
        "g (float x) => (float y) <float w={2}> { a=Add(x,w) y=Mul(a,w) }",
        "rule r { match y = Mul(Add(x, a: const scalar), w: const rank 0)\n replace y = Add(Mul(x, w), a * w)\n}",
        ["Mul", "Add"],
    ),
    "a constant that is handed out": (
        "g (float[3,4] x) => (float[3,4] y, float[4] w) <float[4] w={1,2,3,4}> { a=Add(x,w) y=Mul(a,w) }",
        "rule r { match y = Mul(Add(x, a: const), w: const)\n replace y = Add(Mul(x, w), a * w)\n}",
        ["Mul", "Add"],
    ),
    "an input that is left out before one that is not": (
        "g (float[3,4] x, float m) => (float[3,4] y) { a=Abs(x) y=Clip(a,,m) }",
        "rule r { match y = f: Clip(Abs(x), lo?, hi?)\n replace y = f(Max(x, Neg(x)), lo, hi)\n}",
        ["Neg", "Max", "Clip"],
    ),
}


@pytest.mark.parametrize(("graph", "rules", "left"), REWRITTEN.values(), ids=REWRITTEN)
def test_it_is_rewritten(graph: str, rules: str, left: list[str], applied: Apply) -> None:
    after, done = applied(graph, rules)
    assert all(one.times for one in done), done
    assert operators(after) == left


DECLINED = {
    "two outputs of one value": (
        "g (float[3,4] x) => (float[3,4] y, float[3,4] z) { y=Relu(x) z=Relu(x) }",
        "rule r { match a = Relu(x)\n match b = Relu(x)\n let n = Max(x, 0)\n replace a = n\n replace b = n\n}",
        "are both handed out, and would be one value",
    ),
    "a sequence for a tensor": (
        "g (float[3,4] x, int64 i) => (float[3,4] y) { j=Sub(i,i) s=SequenceConstruct(x) a=SequenceAt(s,j) y=Abs(a) }",
        "rule r { match y = SequenceAt(s, i)\n replace y = s\n}",
        "`a` is float32, and what replaces it would be a sequence of float32",
    ),
    "a sequence is of no element type": (
        "g (float[3,4] x, int64 i) => (float[3,4] y) { j=Sub(i,i) s=SequenceConstruct(x) a=SequenceAt(s,j) y=Abs(a) }",
        "rule r { match y = SequenceAt(s: float, i)\n replace y = s\n}",
        "`s` is a sequence of float32",
    ),
    "a sequence has no axes": (
        "g (float[3,4] x, int64 i) => (float[3,4] y) { j=Sub(i,i) s=SequenceConstruct(x) a=SequenceAt(s,j) y=Abs(a) }",
        "rule r { match y = SequenceAt(s, i)\n where rank(s) == 2\n replace y = s\n}",
        "it is a sequence of float32",
    ),
    "an optional for a tensor": (
        "g (float[3,4] x) => (float[3,4] y) { o=Optional(x) d=OptionalGetElement(o) y=Abs(d) }",
        "rule r { match y = OptionalGetElement(o)\n replace y = o\n}",
        "would be an optional float32",
    ),
    "a circle that goes through a body": (
        (
            "g (float[3,4] x, bool c) => (float[3,4] y, float[3,4] z) { y=Abs(x) v=If(c) <"
            "then_branch = t () => (float[3,4] p) { p=Neg(y) }, else_branch = e () => (float[3,4] q) { q=Relu(y) }>"
            " z=Add(x,v) }"
        ),
        "rule r { match a = Add(x, v)\n match b = Abs(x)\n where uses(a) > 0\n replace b = Max(v, x)\n}",
        "what replaces `y` would be computed from it",
    ),
    "a result that is left out": (
        NORM + '{ a=Neg(x) y,"",i=LayerNormalization(a,s) }',
        "rule r { match y, m, i = LayerNormalization(Neg(x), s)\n replace i = Neg(Neg(m))\n}",
        "a new node would read a result that the matched one leaves out",
    ),
    "a result that is left out, handed on": (
        NORM + '{ a=Neg(x) y,"",k=LayerNormalization(a,s) i=Neg(k) }',
        "rule r { match y, m, i = LayerNormalization(Neg(x), s)\n where uses(y) > 0\n replace i = m\n}",
        "would be replaced by a result that its node leaves out",
    ),
    "texts are not added": (
        'g (string[2] x) => (string[4] y) <string[2] w={"a", "b"}> { y=Concat<axis=0>(x,w) }',
        "rule r { match y = Concat(x, w: const){axis = 0}\n replace y = Concat(x, w + w){axis = 0}\n}",
        "texts are not computed with",
    ),
    "an output in the middle of a match": (
        "g (float[3,4] x) => (float[3,4] a, float[3,4] y) { a=Neg(x) b=Neg(a) y=Abs(b) }",
        TWICE,
        "`a` is handed out too",
    ),
    "an input that a graph hands on": (
        "g (float[3,4] x) => (float[3,4] y) { a=Neg(x) y=Neg(a) }",
        TWICE,
        "`y` is handed out, and no node computes `x`",
    ),
    "a body that hands out what it reads": (
        (
            "g (float[3,4] x, bool c) => (float[3,4] z) { z=If(c) <"
            "then_branch = t () => (float[3,4] p) { a=Neg(x) p=Neg(a) }, else_branch = e () => (float[3,4]"
            " q) { q=Relu(x) }> }"
        ),
        TWICE,
        "`p` is handed out, and no node computes `x`",
    ),
    "a default that a run may change": (
        "g (float[3,4] x, float[4] w) => (float[3,4] y) <float[4] w={1,2,3,4}> { a=Add(x,w) y=Mul(a,w) }",
        "rule r { match y = Mul(x, w: const)\n replace y = Mul(w, x)\n}",
        "`w` is no constant",
    ),
}


@pytest.mark.parametrize(("graph", "rules", "reason"), DECLINED.values(), ids=DECLINED)
def test_it_is_declined(graph: str, rules: str, reason: str, applied: Apply) -> None:
    after, (done,) = applied(graph, rules)
    assert done.times == 0
    assert done.nearest is not None
    assert reason in done.nearest.reason
    assert after.graph.node
