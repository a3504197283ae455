"""Every operation against onnxruntime, or onnx's reference where it has no kernel, with sizes known and unknown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnx.reference
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
from onnx import helper, numpy_helper

from qtnc.backends.torch.emit import emit_torch
from qtnc.errors import BackendError

RTOL, ATOL = 1e-5, 1e-6
"""fp32 rounding; the longest sums here have 12 terms."""

RNG = np.random.default_rng(7)
X = RNG.standard_normal((2, 3, 4)).astype(np.float32)
Y = RNG.standard_normal((2, 3, 4)).astype(np.float32)
M = RNG.standard_normal((3, 4)).astype(np.float32)
V = RNG.standard_normal(4).astype(np.float32)
POSITIVE = np.abs(X) + np.float32(0.1)
UNIT = np.tanh(X)
I = RNG.integers(-7, 8, (2, 3, 4))  # noqa: E741
J = np.where(RNG.integers(-3, 4, (2, 3, 4)) == 0, 2, RNG.integers(1, 4, (2, 3, 4)) * RNG.choice([-1, 1], (2, 3, 4)))
B, C = X > 0, Y > 0
ODD = np.array([1.5, -np.inf, np.nan, np.inf, 0.5, -0.5, 2.5], np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


@dataclass(frozen=True)
class Case:
    """One node: inputs that vary, constants by position, attributes."""

    op: str
    inputs: Sequence[np.ndarray | None]
    constants: Mapping[int, np.ndarray] = field(default_factory=dict)
    attributes: Mapping[str, object] = field(default_factory=dict)
    opset: int = 21
    outputs: int = 1
    note: str = ""

    def __str__(self) -> str:
        plain = (f"{k}{v}" for k, v in self.attributes.items() if not isinstance(v, onnx.TensorProto))
        extra = self.note or "-".join(plain)
        return f"{self.op}-{extra}".rstrip("-").replace(" ", "")


def unary(*ops: str, x: np.ndarray = X, **more: object) -> list[Case]:
    return [Case(op, [x], note=str(x.dtype), **more) for op in ops]  # type: ignore[arg-type]


def reductions() -> list[Case]:
    names = "Mean Sum Max Min Prod L1 L2 SumSquare LogSumExp"
    plain = [f"Reduce{name}" for name in names.split()]
    cases = [Case(op, [X], {1: ints(-1)}, note="last") for op in plain]
    cases += [Case(op, [X], {1: ints(0, 2)}, {"keepdims": 0}) for op in plain]
    cases += [Case(op, [X], note="all") for op in plain]
    cases += [Case(op, [X], attributes={"axes": [1]}, opset=17) for op in plain if op != "ReduceSum"]
    cases += [Case("ReduceSum", [X], attributes={"noop_with_empty_axes": 1})]
    cases += [
        Case("ReduceSum", [I.astype(np.int32)], {1: ints(1)}, note="int32"),
        Case("ReduceLogSum", [POSITIVE], {1: ints(1)}),
    ]
    return cases


CASES = [
    *unary("Abs", "Neg", "Exp", "Erf", "Tanh", "Sigmoid", "Relu", "Floor", "Ceil", "Round", "Sign", "Sin", "Cos"),
    *unary("Reciprocal", "Sqrt", "Log", x=POSITIVE),
    *unary("Asin", "Acos", "Atan", "Atanh", x=UNIT * np.float32(0.9)),
    *unary("Abs", "Neg", "Sign", x=I),
    *unary("Not", x=B),
    *unary("IsNaN", "IsInf", "Round", x=ODD),
    Case("IsInf", [ODD], attributes={"detect_negative": 0}),
    *unary("HardSwish", "Mish", "Softplus", "Softsign", "Elu", "Selu", "Celu", "LeakyRelu", "HardSigmoid"),
    Case("HardSigmoid", [X], attributes={"alpha": 0.3, "beta": 0.4}),
    Case("ThresholdedRelu", [X], attributes={"alpha": 0.5}),
    Case("Elu", [X], attributes={"alpha": 0.7}),
    Case("PRelu", [X], {1: V}),
    Case("Gelu", [X]),
    Case("Gelu", [X], attributes={"approximate": "tanh"}),
    Case("Swish", [X], attributes={"alpha": 0.7}, opset=24),
    *(Case(op, [X, Y], note="same") for op in ("Add", "Sub", "Mul", "Div", "Min", "Max")),
    *(Case(op, [X, M], note="broadcast") for op in ("Add", "Sub", "Mul", "Div", "Mean", "Sum")),
    *(Case(op, [X], {1: np.float32(2.5)}, note="scalar") for op in ("Add", "Sub", "Mul", "Div", "Min", "Max")),
    *(Case(op, [np.float32(2.5), X], note="left") for op in ("Sub", "Div")),
    *(Case(op, [X, Y, M], note="three") for op in ("Min", "Max", "Sum")),
    *(Case(op, [X], {1: np.array([1.0], np.float32)}, note="one") for op in ("Mul", "Add")),
    Case("Add", [np.float32(3)], {1: np.array([1.0], np.float32)}, note="rank"),
    *(Case(op, [I, J], note="int") for op in ("Add", "Sub", "Mul", "Div", "Mod", "Min", "Max")),
    Case("Mod", [I, J], attributes={"fmod": 1}),
    Case("Mod", [X, Y], attributes={"fmod": 1}),
    Case("Pow", [POSITIVE, Y]),
    *(Case("Pow", [X], {1: np.float32(p)}, note=str(p)) for p in (2.0, 3.0)),
    Case("Pow", [POSITIVE], {1: np.float32(0.5)}, note="half"),
    Case("Pow", [I], {1: np.int64(2)}, note="int"),
    Case("Pow", [np.abs(I) + 1], {1: np.float32(0.5)}, note="int-float"),
    *(Case(op, [X, Y]) for op in ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual")),
    *(Case(op, [B, C]) for op in ("And", "Or", "Xor")),
    Case("And", [B], {1: np.bool_(True)}, note="true"),
    *(Case(op, [np.abs(I), np.abs(J)], opset=18) for op in ("BitwiseAnd", "BitwiseOr", "BitwiseXor")),
    Case("BitShift", [np.abs(I).astype(np.uint8)], {1: np.uint8(1)}, {"direction": "LEFT"}),
    Case("Where", [B, X, Y]),
    Case("Where", [B, X], {2: np.float32(-1e9)}, note="scalar"),
    Case("Where", [B], {1: np.float32(0), 2: np.float32(np.finfo(np.float32).min)}, note="scalars"),
    Case("Where", [B], {1: np.int64(0), 2: np.int64(5)}, note="ints"),
    Case("Cast", [X], attributes={"to": 7}),
    Case("Cast", [I], attributes={"to": 1}),
    Case("Cast", [X], attributes={"to": 9}),
    Case("Cast", [B], attributes={"to": 6}),
    Case("Cast", [X], attributes={"to": 11}),
    Case("CastLike", [I, X]),
    Case("Clip", [X], {1: np.float32(-0.5), 2: np.float32(0.5)}),
    Case("Clip", [X, None], {2: np.float32(0.5)}, note="upper"),
    Case("Clip", [X, np.float32(-0.1), np.float32(0.2)], note="data"),
    Case("Dropout", [X], {1: np.float32(0.5)}),
    *(Case(op, [X], attributes={"axis": a}) for op in ("Softmax", "LogSoftmax", "Hardmax") for a in (-1, 1)),
    *reductions(),
    *(Case(op, [X], attributes={"axis": 1, "keepdims": k}) for op in ("ArgMax", "ArgMin") for k in (0, 1)),
    Case("ArgMax", [I], attributes={"axis": 2, "select_last_index": 1}),
    Case("TopK", [X], {1: ints(2)}, outputs=2),
    Case("TopK", [X], {1: ints(2)}, {"axis": 1, "largest": 0}, outputs=2),
    *(Case("CumSum", [X], {1: np.int64(1)}, {"exclusive": e, "reverse": r}) for e in (0, 1) for r in (0, 1)),
    Case("MatMul", [X, np.swapaxes(Y, 1, 2).copy()]),
    Case("MatMul", [X], {1: M.T.copy()}, note="weight"),
    Case("MatMul", [V, M.T.copy()], note="vector"),
    Case("Gemm", [M, M.T.copy()]),
    Case("Gemm", [M], {1: M, 2: V[:3]}, {"transB": 1}),
    Case("Gemm", [M], {1: M, 2: V}, {"transA": 1, "alpha": 0.5, "beta": 2.0}),
    Case("Einsum", [X, Y], attributes={"equation": "b i k, b j k -> b i j"}),
    Case(
        "Conv",
        [RNG.standard_normal((1, 3, 8)).astype(np.float32)],
        {1: RNG.standard_normal((4, 3, 3)).astype(np.float32)},
        {"pads": [2, 0]},
    ),
    Case(
        "Conv",
        [RNG.standard_normal((1, 4, 6, 6)).astype(np.float32)],
        {1: RNG.standard_normal((4, 2, 3, 3)).astype(np.float32), 2: V},
        {"pads": [1, 1, 1, 1], "strides": [2, 2], "group": 2},
    ),
    Case("LayerNormalization", [X], {1: V, 2: V}, {"epsilon": 1e-3}),
    Case("LayerNormalization", [X], {1: M}, {"axis": 1}),
    Case("LayerNormalization", [X], {1: V[:1]}, note="one"),
    Case("RMSNormalization", [X], {1: V}, opset=23),
    Case("GroupNormalization", [RNG.standard_normal((2, 4, 5)).astype(np.float32)], {1: V, 2: V}, {"num_groups": 2}),
    Case("BatchNormalization", [RNG.standard_normal((2, 4, 5)).astype(np.float32)], {1: V, 2: V, 3: V, 4: np.abs(V)}),
    Case("InstanceNormalization", [RNG.standard_normal((2, 4, 5)).astype(np.float32)], {1: V, 2: V}),
    Case("Transpose", [X]),
    *(Case("Transpose", [X], attributes={"perm": p}) for p in ([0, 2, 1], [1, 2, 0], [0, 1, 2])),
    Case("Transpose", [M], note="matrix"),
    *(Case("Reshape", [X], {1: ints(*t)}, note=str(t)) for t in ((-1,), (0, -1), (6, 4), (2, 0, 2, 2), (0, 0, -1))),
    Case("Reshape", [np.zeros((0, 3), np.float32)], {1: ints(3, 0)}, {"allowzero": 1}),
    Case("Reshape", [X, ints(0, -1)], note="data"),
    *(Case("Flatten", [X], attributes={"axis": a}) for a in (0, 1, 2, 3, -1)),
    *(Case("Unsqueeze", [X], {1: ints(*a)}, note=str(a)) for a in ((0,), (-1,), (1, 3), (-1, 0))),
    *(Case("Squeeze", [X[:1, :, :1]], {1: ints(*a)}, note=str(a)) for a in ((0,), (-1,), (0, 2))),
    Case("Squeeze", [X[:1]], note="all"),
    *(Case("Expand", [X[:, :1]], {1: ints(*t)}, note=str(t)) for t in ((2, 3, 4), (3, 1), (5, 1, 1, 1), (1,))),
    Case("Expand", [X[:, :1], ints(2, 3, 4)], note="data"),
    *(Case("Concat", [X, Y], attributes={"axis": a}) for a in (0, -1)),
    Case("Split", [X], attributes={"axis": 2, "num_outputs": 2}, outputs=2),
    Case(
        "Split",
        [RNG.standard_normal((2, 5)).astype(np.float32)],
        attributes={"axis": 1, "num_outputs": 2},
        outputs=2,
        note="odd",
    ),
    Case("Split", [X], {1: ints(1, 3)}, {"axis": -1}, outputs=2),
    *(
        Case("Slice", [X], {1: ints(*s), 2: ints(*e), 3: ints(*a), 4: ints(*t)}, note=f"{s}{e}{a}{t}")
        for s, e, a, t in (
            ((0,), (2,), (2,), (1,)),
            ((1,), (2**63 - 1,), (1,), (1,)),
            ((-2,), (-1,), (-1,), (1,)),
            ((0, 1), (2, 3), (0, 2), (1, 1)),
            ((0,), (100,), (2,), (2,)),
            ((-1,), (-(2**63) + 1,), (2,), (-1,)),
            ((-1,), (-4,), (1,), (-1,)),
            ((3,), (0,), (2,), (-2,)),
            ((100,), (-100,), (2,), (-3,)),
        )
    ),
    *(
        Case("Gather", [X], {1: np.array(i)}, {"axis": a}, note=f"{i}{a}")
        for i in (0, -1, [1], [-1], [0, 1], [[0, 1], [-1, 0]])
        for a in (0, 1, -1)
    ),
    *(
        Case("Gather", [X, np.array([[0, -1], [1, 1]], d)], attributes={"axis": a}, note=f"{np.dtype(d)}{a}")
        for d in (np.int64, np.int32)
        for a in (0, 1)
    ),
    Case("GatherElements", [X, RNG.integers(-3, 3, (2, 2, 4))], attributes={"axis": 1}),
    Case("GatherND", [X, np.array([[0, 1], [-1, 2]])]),
    Case("GatherND", [X, np.array([[0, 1], [-1, 2]])], attributes={"batch_dims": 1}),
    Case("ScatterND", [X, np.array([[0, 1], [1, -1]]), Y[:, 0]]),
    Case("ScatterND", [X, np.array([[0, 1], [0, 1]]), Y[:, 0]], attributes={"reduction": "add"}),
    Case("ScatterElements", [X, RNG.integers(-1, 1, (2, 1, 4)), Y[:, :1]], attributes={"axis": 1}),
    Case("ScatterElements", [X, RNG.integers(-1, 1, (2, 2, 4)), Y[:, :2]], attributes={"axis": 1, "reduction": "add"}),
    Case("ScatterElements", [X, RNG.integers(-1, 1, (2, 2, 4)), Y[:, :2]], attributes={"axis": 1, "reduction": "max"}),
    Case("Range", [], {0: np.int64(1), 1: np.int64(9), 2: np.int64(3)}, note="constant"),
    Case("Range", [np.float32(0), np.float32(2), np.float32(0.5)], note="data"),
    Case("ConstantOfShape", [ints(2, 3)]),
    Case("ConstantOfShape", [], {0: ints(2, 3)}, {"value": numpy_helper.from_array(np.array([2], np.int64))}),
    *(
        Case("Trilu", [X], {} if k is None else {1: np.int64(k)}, {"upper": u}, note=f"{k}{u}")
        for k in (None, 1, -1)
        for u in (0, 1)
    ),
    Case("EyeLike", [M]),
    Case("EyeLike", [M], attributes={"k": 1, "dtype": 7}),
    *(
        Case("OneHot", [np.array([[0, 2], [-1, 7]])], {1: np.int64(4), 2: np.array([0.5, 2], np.float32)}, {"axis": a})
        for a in (-1, 0, 1)
    ),
    Case("OneHot", [np.array([0, 3])], {1: np.int64(4), 2: ints(0, 1)}, note="ints"),
    Case("Tile", [X], {1: ints(1, 2, 3)}),
    Case("Pad", [X], {1: ints(0, 1, 0, 0, 0, 2)}),
    Case("Pad", [X], {1: ints(0, 0, -1, 0, 0, 2), 2: np.float32(1.5)}, note="crop"),
    Case("Pad", [X], {1: ints(1, 2), 2: np.float32(0), 3: ints(-1)}, note="axes"),
    Case("Pad", [X], {1: ints(0, 0, 1, 0, 0, 2)}, {"mode": "reflect"}),
    Case("Pad", [X], {1: ints(0, 0, 1, 0, 0, 2)}, {"mode": "edge"}),
    Case("NonZero", [X]),
    Case("Size", [X]),
    Case("Shape", [X]),
    Case("Shape", [X], attributes={"start": 1}),
    Case("Shape", [X], attributes={"start": -2, "end": -1}),
    Case("Identity", [X]),
    Case("DequantizeLinear", [I.astype(np.int8)], {1: np.float32(0.1), 2: np.int8(3)}),
    Case("DequantizeLinear", [I.astype(np.int8)], {1: np.abs(V), 2: np.array([1, 2, 3, 4], np.int8)}, {"axis": -1}),
    Case("DequantizeLinear", [I.astype(np.int8)], {1: np.abs(X[:, :, ::2]) + 1}, {"axis": 2, "block_size": 2}),
    Case("QuantizeLinear", [X], {1: np.float32(0.05), 2: np.uint8(128)}),
    Case("QuantizeLinear", [X], {1: np.abs(V) + 1, 2: np.array([1, 2, 3, 4], np.int8)}, {"axis": 2}),
]


def heads(batch: int, count: int, length: int, size: int) -> np.ndarray:
    return RNG.standard_normal((batch, count, length, size)).astype(np.float32)


ATTENTION = [
    Case("Attention", [heads(2, 4, 5, 8), heads(2, 4, 6, 8), heads(2, 4, 6, 8)], opset=23, note="plain"),
    Case(
        "Attention",
        [heads(2, 4, 5, 8), heads(2, 2, 5, 8), heads(2, 2, 5, 8)],
        attributes={"is_causal": 1},
        opset=23,
        note="grouped",
    ),
    Case(
        "Attention",
        [heads(2, 2, 5, 8), heads(2, 2, 6, 8), heads(2, 2, 6, 8), RNG.random((5, 6)) > 0.3],
        attributes={"scale": 0.2},
        opset=23,
        note="mask",
    ),
    Case(
        "Attention",
        [heads(2, 2, 5, 8), heads(2, 2, 5, 8), heads(2, 2, 5, 8), heads(2, 1, 5, 5)],
        attributes={"is_causal": 1},
        opset=23,
        note="bias",
    ),
    Case(
        "Attention",
        [heads(1, 2, 5, 32)[0], heads(1, 2, 6, 16)[0], heads(1, 2, 6, 16)[0]],
        attributes={"q_num_heads": 4, "kv_num_heads": 2},
        opset=23,
        note="flat",
    ),
    Case(
        "Attention",
        [heads(2, 2, 3, 8), heads(2, 2, 3, 8), heads(2, 2, 3, 8), None, heads(2, 2, 4, 8), heads(2, 2, 4, 8)],
        opset=23,
        outputs=3,
        note="past",
    ),
    Case("RotaryEmbedding", [heads(2, 4, 5, 8), heads(1, 2, 5, 4)[0], heads(1, 2, 5, 4)[0]], opset=23),
    Case(
        "RotaryEmbedding",
        [heads(2, 4, 5, 8), heads(1, 2, 5, 4)[0], heads(1, 2, 5, 4)[0]],
        attributes={"interleaved": 1},
        opset=23,
    ),
    Case(
        "RotaryEmbedding",
        [heads(1, 2, 5, 32)[0], heads(1, 1, 9, 2)[0, 0], heads(1, 1, 9, 2)[0, 0], RNG.integers(0, 9, (2, 5))],
        attributes={"num_heads": 4, "rotary_embedding_dim": 4},
        opset=23,
    ),
]


def build(case: Case, sized: bool) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    names: list[str] = []
    feeds: dict[str, np.ndarray] = {}
    constants = []
    inputs = iter(case.inputs)
    count = len(case.inputs) + len(case.constants)
    for k in range(count):
        if k in case.constants:
            names.append(f"c{k}")
            constants.append(numpy_helper.from_array(np.asarray(case.constants[k]), f"c{k}"))
            continue
        array = next(inputs)
        names.append("" if array is None else f"x{k}")
        if array is not None:
            feeds[f"x{k}"] = np.asarray(array)
    node = helper.make_node(case.op, names, [f"y{k}" for k in range(case.outputs)], name="the_node", **case.attributes)
    infos = [
        helper.make_tensor_value_info(
            name,
            helper.np_dtype_to_tensor_dtype(a.dtype),
            a.shape if sized else [f"{name}_{k}" for k in range(a.ndim)],
        )
        for name, a in feeds.items()
    ]
    results = [onnx.ValueInfoProto(name=f"y{k}") for k in range(case.outputs)]
    graph = helper.make_graph([node], "g", infos, results, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", case.opset)], ir_version=10)
    inferred = onnx.shape_inference.infer_shapes(model)
    for result in inferred.graph.output:
        if not result.type.tensor_type.elem_type:
            pytest.skip("onnx infers no type for it")
    return inferred, feeds


def judge(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except (ort.capi.onnxruntime_pybind11_state.NotImplemented, ort.capi.onnxruntime_pybind11_state.Fail):
        return onnx.reference.ReferenceEvaluator(model).run(None, feeds)
    return session.run(None, feeds)


@pytest.mark.parametrize("sized", [True, False], ids=["sized", "unsized"])
@pytest.mark.parametrize("case", [*CASES, *ATTENTION], ids=str)
def test_agrees_with_onnx(case: Case, sized: bool, tmp_path: Path) -> None:
    model, feeds = build(case, sized)
    emit_torch(ir.from_proto(model), tmp_path)
    scope: dict[str, object] = {"__file__": str(tmp_path / "model.py"), "__name__": "emitted"}
    exec(compile((tmp_path / "model.py").read_text(), str(tmp_path / "model.py"), "exec"), scope)  # noqa: S102
    module = scope["load"]()  # type: ignore[operator]
    with torch.no_grad():
        result = module(*(torch.from_numpy(np.array(a)) for a in feeds.values()))
    got = [result] if isinstance(result, torch.Tensor) else list(result)
    for expected, y in zip(judge(model, feeds), got, strict=True):
        assert y.numpy().dtype == expected.dtype
        assert y.shape == expected.shape
        np.testing.assert_allclose(y.numpy(), expected, rtol=RTOL, atol=ATOL)


def test_refuses_everything_at_once(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("NonMaxSuppression", ["x", "x"], ["a"], name="first"),
        helper.make_node("Det", ["x"], ["b"], name="second"),
        helper.make_node("Det", ["b"], ["c"], name="third"),
        helper.make_node("Fused", ["c"], ["d"], name="fourth", domain="com.example"),
    ]
    x = helper.make_tensor_value_info("x", 1, [2, 3, 3])
    graph = helper.make_graph(nodes, "g", [x], [helper.make_tensor_value_info("d", 1, None)])
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.example", 1)]
    with pytest.raises(BackendError) as error:
        emit_torch(ir.from_proto(helper.make_model(graph, opset_imports=opsets)), tmp_path)
    text = str(error.value)
    assert "Det (2 times, first `second`)" in text
    assert "NonMaxSuppression (1 time, first `first`)" in text
    assert "com.example.Fused" in text
    assert text.count("help:") == 3
    assert not (tmp_path / "model.py").exists()
