"""Every form in which exporters write a product with a constant weight, through the whole road."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[Any]
Load = Callable[[Path], torch.nn.Module]
Make = Callable[[str, int, int, int], Array]

EXACT = ["mpo(sites: 2)", "mpo(sites: 3)", "lowrank"]
BEHIND = ["transpose", "reshape", "cast", "identity", "constant", "tensor", "channel", "row", "block", "chain"]

node = helper.make_node


@dataclass
class Graph:
    """A model as it grows; ``w`` is the weight (M, N), whatever stands between."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    stored: dict[str, Array] = field(default_factory=dict)

    def add(self, op: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self.nodes.append(node(op, list(inputs), [output], **attributes))
        return output

    def save(self, path: Path, x: Sequence[int | str], y: int, dtype: int = TensorProto.FLOAT) -> Path:
        inputs = [helper.make_tensor_value_info("x", dtype, x)]
        outputs = [helper.make_tensor_value_info("y", dtype, [None] * y)]
        tensors = [numpy_helper.from_array(array, name) for name, array in self.stored.items()]
        graph = helper.make_graph(self.nodes, "forms", inputs, outputs, tensors)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
        return path


def behind(graph: Graph, how: str, weight: Array, name: str = "w") -> str:
    """Store a weight so that the model computes it."""
    m, n = weight.shape
    stored = f"{name}.weight"
    if how == "transpose":
        graph.stored[stored] = weight.T.copy()
        return graph.add("Transpose", [stored], name, perm=[1, 0])
    if how == "reshape":
        graph.stored |= {stored: weight.reshape(1, -1), f"{name}.shape": np.array([m, n])}
        return graph.add("Reshape", [stored, f"{name}.shape"], name)
    if how == "cast":
        graph.stored[stored] = weight.astype(np.float64)
        return graph.add("Cast", [stored], name, to=TensorProto.FLOAT)
    if how == "identity":
        graph.stored[stored] = weight
        return graph.add("Identity", [stored], name)
    if how == "constant":
        return graph.add("Constant", [], name, value=numpy_helper.from_array(weight))
    if how == "chain":
        graph.stored |= {stored: weight.T.astype(np.float16), f"{name}.shape": np.array([0, -1])}
        half = graph.add("Identity", [stored], f"{name}.half")
        whole = graph.add("Cast", [half], f"{name}.whole", to=TensorProto.FLOAT)
        turned = graph.add("Transpose", [whole], f"{name}.turned")
        return graph.add("Reshape", [turned, f"{name}.shape"], name)
    rng = np.random.default_rng(m * n)
    blocks = -(-m // 2)
    scales = {"tensor": (), "channel": (n,), "row": (m,), "block": (blocks, n)}[how]
    graph.stored |= {
        stored: np.clip(np.round(weight * 40), -128, 127).astype(np.int8),
        f"{name}.scale": np.asarray(rng.uniform(0.01, 0.05, scales), np.float32),
        f"{name}.zero": np.asarray(rng.integers(-3, 4, scales), np.int8),
    }
    attributes = {"tensor": {}, "channel": {"axis": 1}, "row": {"axis": 0}, "block": {"axis": 0, "block_size": 2}}[how]
    return graph.add("DequantizeLinear", [stored, f"{name}.scale", f"{name}.zero"], name, **attributes)


def check(
    model: Path,
    feeds: Sequence[Array],
    structure: str,
    shape: tuple[int, int],
    compiled: ModuleType,
    load: Load,
    tolerance: float = 1e-4,
) -> None:
    """Fail unless the one layer of a model is found, rewritten and computes the same in both forms."""
    statements = ("optimize memory", "select all = *", f"rewrite all -> {structure}")
    done = compiled.build(model, model.parent / "out", *statements)
    (entry,) = done.plan.layers
    assert entry.structure == structure.partition("(")[0]
    assert entry.original_parameters == shape[0] * shape[1]
    by_onnx, _ = compiled.stored(done.out)
    assert done.plan.parameters == sum(array.size for array in by_onnx.values() if array.dtype.kind == "f")
    ops = [made.op_type for made in onnx.load(done.out / "onnx" / "model.onnx").graph.node]
    assert not {"Gemm", "Conv", "DequantizeLinear", "Cast", "Constant"} & set(ops)
    options = ort.SessionOptions()  # beyond this level it fuses DequantizeLinear and MatMul, and rounds x too
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    for x in feeds:
        compiled.check_same(session.run(None, {"x": x}), done.out, {"x": x}, load, tolerance)


sizes = st.sampled_from([1, 2, 3, 4, 6, 7, 11, 12, 13])
kinds = st.sampled_from(["dense", "thin", "sparse", "zero"])


@given(
    how=st.sampled_from(BEHIND), m=sizes, n=sizes, kind=kinds, structure=st.sampled_from(EXACT), seed=st.integers(0, 9)
)
@settings(max_examples=30, deadline=None)
def test_weights_behind_other_nodes(
    how: str,
    m: int,
    n: int,
    kind: str,
    structure: str,
    seed: int,
    make_weight: Make,
    compiled: ModuleType,
    load_emitted: Load,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    graph = Graph()
    weight = behind(graph, how, make_weight(kind, m, n, seed).astype(np.float32))
    graph.add("MatMul", ["x", weight], "y", name="layer")
    model = graph.save(tmp_path_factory.mktemp("behind") / "model.onnx", ["batch", "seq", m], 3)
    rng = np.random.default_rng(seed)
    feeds = [rng.standard_normal((*lead, m)).astype(np.float32) for lead in ((2, 3), (1, 1))]
    check(model, feeds, structure, (m, n), compiled, load_emitted)


@given(
    left=st.booleans(),
    turned=st.tuples(st.booleans(), st.booleans()),
    m=sizes,
    n=sizes,
    alpha=st.sampled_from([1.0, -0.5]),
    beta=st.sampled_from([1.0, 0.0, 2.0]),
    bias=st.sampled_from([None, "row", "column", "one"]),
    structure=st.sampled_from(EXACT),
)
@settings(max_examples=40, deadline=None)
def test_every_gemm(
    left: bool,
    turned: tuple[bool, bool],
    m: int,
    n: int,
    alpha: float,
    beta: float,
    bias: str | None,
    structure: str,
    compiled: ModuleType,
    load_emitted: Load,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The weight on either side, either operand transposed; the rows, being no feature, are symbolic."""
    rng = np.random.default_rng([m, n])
    weight = rng.standard_normal((n, m) if left else (m, n)).astype(np.float32)
    graph = Graph(stored={"w": weight.T.copy() if turned[0 if left else 1] else weight})
    x_turned = turned[1 if left else 0]
    features_last = x_turned if left else not x_turned
    if bias:  # of a weight on the left, the features are rows of y
        shape = {"row": (1, n), "column": (n, 1), "one": (1,)}["column" if left and bias == "row" else bias]
        shape = (1, n) if not left and bias == "column" else shape
        graph.stored["c"] = rng.standard_normal(shape).astype(np.float32)
    inputs = [*(("w", "x") if left else ("x", "w")), *(["c"] if bias else [])]
    graph.add("Gemm", inputs, "y", transA=int(turned[0]), transB=int(turned[1]), alpha=alpha, beta=beta)
    axes: list[int | str] = ["rows", m] if features_last else [m, "rows"]
    model = graph.save(tmp_path_factory.mktemp("gemm") / "model.onnx", axes, 2)
    feeds = [rng.standard_normal((rows, m)).astype(np.float32) for rows in (5, 1)]
    feeds = [x if features_last else x.T.copy() for x in feeds]
    check(model, feeds, structure, (m, n), compiled, load_emitted)


@given(rank=st.integers(1, 4), m=sizes, n=sizes, how=st.sampled_from(BEHIND), structure=st.sampled_from(EXACT))
@settings(max_examples=20, deadline=None)
def test_weights_on_the_left(
    rank: int,
    m: int,
    n: int,
    how: str,
    structure: str,
    compiled: ModuleType,
    load_emitted: Load,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    rng = np.random.default_rng([rank, m, n])
    graph = Graph()
    weight = behind(graph, how, rng.standard_normal((n, m)).astype(np.float32))
    graph.add("MatMul", [weight, "x"], "y", name="layer")
    names: list[int | str] = [*(f"axis_{k}" for k in range(rank - 2)), m, "rows"] if rank > 1 else [m]
    model = graph.save(tmp_path_factory.mktemp("left") / "model.onnx", names, rank)
    feeds = [np.ones(tuple(m if a == m else k for a in names), np.float32) for k in (3, 1)]
    feeds = [rng.standard_normal(x.shape).astype(np.float32) for x in feeds]
    check(model, feeds, structure, (m, n), compiled, load_emitted)


@given(places=st.integers(1, 3), m=sizes, n=sizes, bias=st.booleans(), structure=st.sampled_from(EXACT))
@settings(max_examples=15, deadline=None)
def test_convolutions_of_one_place(
    places: int,
    m: int,
    n: int,
    bias: bool,
    structure: str,
    compiled: ModuleType,
    load_emitted: Load,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    rng = np.random.default_rng([places, m, n])
    graph = Graph(stored={"w": rng.standard_normal((n, m, *[1] * places)).astype(np.float32)})
    if bias:
        graph.stored["c"] = rng.standard_normal(n).astype(np.float32)
    graph.add("Conv", ["x", *graph.stored], "y", name="layer")
    axes: list[int | str] = ["batch", m, *(f"place_{k}" for k in range(places))]
    model = graph.save(tmp_path_factory.mktemp("conv") / "model.onnx", axes, len(axes))
    shapes = [(2, m, *range(3, 3 + places)), (1, m, *[1] * places)]
    feeds = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    check(model, feeds, structure, (m, n), compiled, load_emitted)


# A few units in the last place of each type, over products of 6 terms.
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float16, 1e-2), (np.float64, 1e-13)])
@pytest.mark.parametrize("structure", EXACT)
@pytest.mark.parametrize("form", ["transpose", "left", "gemm", "conv"])
def test_forms_keep_their_precision(
    form: str,
    structure: str,
    dtype: type[np.floating[Any]],
    tolerance: float,
    compiled: ModuleType,
    load_emitted: Load,
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(0)
    weight, graph = rng.standard_normal((6, 4)).astype(dtype), Graph()
    axes: list[int | str] = ["rows", 6]
    if form == "transpose":
        graph.add("MatMul", ["x", behind(graph, form, weight)], "y")
    elif form == "left":
        graph.stored["w"], axes = weight.T.copy(), [6, "rows"]
        graph.add("MatMul", ["w", "x"], "y")
    elif form == "gemm":
        graph.stored["w"], axes = weight, [6, "rows"]
        graph.add("Gemm", ["x", "w"], "y", transA=1, alpha=0.5)
    elif dtype is np.float64:
        pytest.skip("onnxruntime has no such Conv on CPU")
    else:
        graph.stored["w"], axes = weight.T.reshape(4, 6, 1).copy(), ["batch", 6, "rows"]
        graph.add("Conv", ["x", "w"], "y")
    dtype_number = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    model = graph.save(tmp_path / "model.onnx", axes, len(axes), dtype_number)
    feeds = [rng.standard_normal([a if isinstance(a, int) else k for a in axes]).astype(dtype) for k in (3, 1)]
    check(model, feeds, structure, (6, 4), compiled, load_emitted, tolerance)
