"""Models that come out in float16: half the bytes, close to what they were, and never infinite by surprise."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from qtnc.passes.to_float16 import ToFloat16

from qtnc.compiler import compile_model, prepare
from qtnc.errors import PassError
from qtnc.importers.onnx import read_model
from qtnc.ir.precision import LARGEST

Families = Callable[[str, str], Any]
Load = Callable[[Path], torch.nn.Module]
Run = Callable[..., Any]

CLOSE = 5e-3
"""Relative. Each rounding costs 2^-11 = 5e-4, and up to a hundred in turn add up as their root; 2e-4 to 1e-3 seen."""

SPEC = "qtn 1\noptimize memory\n{}emit torch(dtype: float16)\nemit onnx(dtype: float16)\n"
REWRITES = "select m = (MatMul or Gemm) where weight.elements >= 1Ki\nrewrite m -> {}\n"

FORMS = [("dynamo", None), ("legacy", None), ("dynamo", "lowrank"), ("dynamo", "mpo(sites: 3)")]


@pytest.mark.parametrize(("exporter", "structure"), FORMS)
@pytest.mark.parametrize("family", ["llama", "gpt2", "bert"])
def test_a_family_in_half(
    family: str,
    exporter: str,
    structure: str | None,
    families: Families,
    compiled: ModuleType,
    load_emitted: Load,
    tmp_path: Path,
) -> None:
    model = families(family, exporter)
    spec = tmp_path / "spec.qtn"
    spec.write_text(SPEC.format(REWRITES.format(structure) if structure else ""))
    with compiled.clock():
        done = compile_model(model.onnx, spec, tmp_path / "out")
    assert all(verdict.agrees for verdict in done.verdicts)
    for form in compiled.stored(done.out):
        assert {x.dtype for x in form.values() if x.dtype.kind == "f" and x.ndim > 1} == {np.dtype(np.float16)}
    for shape in ((2, 5), (3, 9)):
        feeds = model.feeds(*shape)
        compiled.check_same(model.reference(feeds), done.out, feeds, load_emitted, CLOSE)


def test_torch_goes_back_to_full_precision(
    families: Families, compiled: ModuleType, load_emitted: Load, tmp_path: Path
) -> None:
    """Where a processor has no arithmetic in half, ``load().float()`` computes in float32 with the same weights."""
    model = families("llama", "dynamo")
    spec = tmp_path / "spec.qtn"
    spec.write_text("qtn 1\nemit torch(dtype: float16)\n")
    compile_model(model.onnx, spec, tmp_path / "out")
    feeds = model.feeds(2, 5)
    module = load_emitted(tmp_path / "out" / "torch").float()
    with torch.inference_mode():
        found = module(*map(torch.from_numpy, feeds.values())).numpy()
    assert "torch.float16)" not in (tmp_path / "out" / "torch" / "model.py").read_text().split("def forward")[1]
    # One rounding of each weight is left, by 2^-12 of it on average.
    assert compiled.distance(model.reference(feeds)[0], found) < 1e-3


def test_bytes_are_those_of_the_files(place: Any, qtnc: Run, toys: ModuleType) -> None:
    sizes = {}
    for dtype in ("", "(dtype: float16)"):
        place.spec.write_text(f"qtn 1\nemit torch{dtype}\nemit onnx{dtype}\n")
        assert qtnc("compile", place.model, place.spec, "-o", place.out, "--force").code == 0
        said = json.loads((place.out / "report.json").read_text())["bytes_on_disk"]
        for backend in ("torch", "onnx"):
            assert said[backend] == sum(path.stat().st_size for path in (place.out / backend).iterdir())
        sizes[dtype] = (place.out / "torch" / "model.safetensors").stat().st_size
    weights = 2 * (16 * 24 + 24 * 8)
    baseline = json.loads((place.out / "report.json").read_text())["original_float16"]
    assert baseline["bytes"] == pytest.approx((place.out / "onnx" / "model.onnx").stat().st_size, abs=100)  # its stamp
    assert 0 < baseline["errors"]["seeded"]["y"] < CLOSE
    assert "original in float16 (onnx)" in (place.out / "report.html").read_text()
    assert sizes[""] - sizes["(dtype: float16)"] == pytest.approx(weights, abs=8)  # the header is padded to 8 bytes
    assert qtnc("verify", place.out).code == 0


def test_inputs_and_outputs_keep_their_types(families: Families, compiled: ModuleType, tmp_path: Path) -> None:
    model = families("bert", "dynamo").onnx
    spec = tmp_path / "spec.qtn"
    spec.write_text(SPEC.format(""))
    compile_model(model, spec, tmp_path / "out")
    before, after = onnx.load(model).graph, onnx.load(tmp_path / "out" / "onnx" / "model.onnx").graph
    assert [(v.name, v.type) for v in after.input] == [(v.name, v.type) for v in before.input]
    assert [(v.name, v.type) for v in after.output] == [(v.name, v.type) for v in before.output]


def test_nodes_may_be_named_after_what_they_make(place: Any, qtnc: Run, toys: ModuleType) -> None:
    """onnxruntime refuses two nodes of one name, and the last one's is that of the output, which a Cast makes now."""
    proto = toys.mlp()
    for node in proto.graph.node:
        node.name = node.output[0]
    toys.write(proto, place.model)
    place.spec.write_text("qtn 1\nemit onnx(dtype: float16)\nverify outputs within 5%\n")
    done = qtnc("compile", place.model, place.spec, "-o", place.out)
    assert done.code == 0, done.err
    names = [node.name for node in onnx.load(place.out / "onnx" / "model.onnx").graph.node]
    assert len(set(names)) == len(names)


def test_a_weight_beyond_half_is_named(place: Any, qtnc: Run, toys: ModuleType) -> None:
    proto = toys.mlp()
    proto.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.full((24, 8), 1e5, np.float32), "down.weight"))
    toys.write(proto, place.model)
    place.spec.write_text("qtn 1\nemit onnx(dtype: float16)\n")
    done = qtnc("compile", place.model, place.spec, "-o", place.out)
    reason = "`down.weight` holds 100000, beyond float16's largest number, 65,504, and reaches a MatMul"
    assert (done.code, done.out) == (1, "")
    assert done.err == f"error: {reason}\n  = help: leave `dtype: float16` out\n"
    assert not place.out.exists()


def test_bfloat16_becomes_float16_and_float32(toys: ModuleType, tmp_path: Path) -> None:
    """onnxruntime computes no product in bfloat16 here, so that the reference is onnx's own evaluator."""
    rng = np.random.default_rng(0)
    w = rng.standard_normal((8, 4)).astype(np.float32)
    kind = TensorProto.BFLOAT16
    tensor = helper.make_tensor("w", kind, w.shape, w.ravel().tolist())
    nodes = [helper.make_node("MatMul", ["x", "w"], ["p"]), helper.make_node("Softmax", ["p"], ["y"])]
    proto = toys.model(nodes, [toys.value("x", ["n", 8], kind)], [toys.value("y", ["n", 4], kind)], [tensor], 22)
    model = prepare(read_model(toys.write(proto, tmp_path / "m.onnx")))
    found = ToFloat16().run(model).model
    types = {str(v.name): v.dtype for node in found.graph for v in node.outputs}
    assert (types["p"], types["y"]) == (ir.DataType.FLOAT16, ir.DataType.BFLOAT16)
    assert ir.DataType.FLOAT in types.values()  # of the softmax
    onnx.checker.check_model(ir.to_proto(found), full_check=True)


def test_what_is_no_tensor_is_refused(toys: ModuleType) -> None:
    nodes = [
        helper.make_node("SplitToSequence", ["x"], ["s"]),
        helper.make_node("ConcatFromSequence", ["s"], ["c"], axis=0),
    ]
    nodes.append(helper.make_node("MatMul", ["c", "w"], ["y"]))
    proto = toys.model(nodes, [toys.value("x", [4, 4])], [toys.value("y", [4, 4])], [toys.weight("w", 4, 4)])
    model = ir.from_proto(onnx.shape_inference.infer_shapes(proto))
    with pytest.raises(PassError, match="`s` is no tensor"):
        ToFloat16().run(model)


@given(
    magnitude=st.floats(-8, 6, allow_nan=False),
    rows=st.integers(1, 6),
    columns=st.integers(1, 6),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=40, deadline=None)
def test_any_weight_is_rounded_to_nearest_or_refused(
    toys: ModuleType, magnitude: float, rows: int, columns: int, seed: int
) -> None:
    w = (np.random.default_rng(seed).standard_normal((rows, columns)) * 10**magnitude).astype(np.float32)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    inputs, outputs = [toys.value("x", ["n", rows])], [toys.value("y", ["n", columns])]
    proto = toys.model(nodes, inputs, outputs, [numpy_helper.from_array(w, "w")])
    with np.errstate(over="ignore"):
        rounded = w.astype(np.float16)
    model = ir.from_proto(onnx.shape_inference.infer_shapes(proto))
    if np.isinf(rounded).any():
        with pytest.raises(PassError, match="`w` holds"):
            ToFloat16().run(model)
        return
    ToFloat16().run(model)
    found = model.graph.initializers["w"].const_value
    assert found is not None
    np.testing.assert_array_equal(found.numpy(), rounded)
    assert float(np.abs(found.numpy().astype(np.float64)).max()) <= LARGEST
    session = ort.InferenceSession(ir.to_proto(model).SerializeToString(), providers=["CPUExecutionProvider"])
    assert session.run(None, {"x": np.eye(rows, dtype=np.float32)})[0].dtype == np.float32
