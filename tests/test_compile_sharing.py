"""One weight read by several nodes, weights in bodies and functions, large ones, and types without kernels."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from qtnc.passes.lower_to_onnx import LowerToOnnx
from qtnc.passes.matmul_to_lowrank import MatmulToLowrank
from qtnc.passes.matmul_to_mpo import MatmulToMpo

from qtnc.compiler import prepare
from qtnc.importers.onnx import read_model
from qtnc.ir.layers import find_layers
from qtnc.pipeline import Pipeline
from qtnc.rewrite.decision import Decision
from qtnc.structures.lowrank import LowRank
from qtnc.structures.structure import Problem

Array = NDArray[Any]
Load = Callable[[Path], torch.nn.Module]

node = helper.make_node


def tied(toys: ModuleType) -> onnx.ModelProto:
    """A table that is looked things up in, and is the head's weight, transposed."""
    nodes = [
        node("Gather", ["embed.weight", "ids"], ["e"], name="embed"),
        node("Transpose", ["embed.weight"], ["t"], perm=[1, 0]),
        node("MatMul", ["e", "t"], ["y"], name="/head/MatMul"),
    ]
    ids, y = toys.value("ids", ["batch", "seq"], toys.INT64), toys.value("y", ["batch", "seq", 160])
    return toys.model(nodes, [ids], [y], [toys.weight("embed.weight", 160, 120)])


def twice(toys: ModuleType) -> onnx.ModelProto:
    """One weight in two products, once behind a Transpose that is too large to fold, once in a Gemm."""
    nodes = [
        node("MatMul", ["x", "shared.weight"], ["a"], name="/first/MatMul"),
        node("Relu", ["a"], ["b"]),
        node("Transpose", ["shared.weight"], ["t"], perm=[1, 0]),
        node("Gemm", ["b", "t"], ["y"], transB=1, name="/second/Gemm"),
    ]
    x, y = toys.value("x", ["batch", 130]), toys.value("y", ["batch", 130])
    return toys.model(nodes, [x], [y], [toys.weight("shared.weight", 130, 130)])


def run(model: Path, **feeds: Array) -> list[Array]:
    return ort.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, feeds)


@pytest.mark.parametrize("structure", ["lowrank", "mpo(sites: 2)"])
def test_a_shared_weight_is_fitted_once_and_its_cores_stay_shared(
    structure: str, toys: ModuleType, compiled: ModuleType, load_emitted: Load, tmp_path: Path
) -> None:
    model = toys.write(twice(toys), tmp_path / "model.onnx")
    x = np.random.default_rng(0).standard_normal((40, 130)).astype(np.float32)
    np.savez(tmp_path / "calib.npz", x=x)
    statements = compiled.every(f"{structure} on calib")
    done = compiled.build(model, tmp_path / "out", 'data calib = npz("calib.npz")', *statements)
    first, second = done.plan.layers
    assert [(e.layer, e.op, e.shares) for e in (first, second)] == [
        ("first", "MatMul", None),
        ("second", "Gemm", "first"),
    ]
    assert (first.settled, first.predicted_error) == (second.settled, second.predicted_error)
    assert done.plan.parameters == first.parameters == second.parameters
    assert "`second` shares the weight of `first`, which counts once" in done.plan.notes
    for form in compiled.stored(done.out):
        assert sum(array.size for array in form.values() if array.dtype.kind == "f") == first.parameters
    for rows in (x[:3], x[:1]):
        compiled.check_same(run(model, x=rows), done.out, {"x": rows}, load_emitted)
    notes = json.loads((done.out / "report.json").read_text())["layers"]
    assert [note["shares"] for note in notes] == [None, "first"]


def test_a_shared_weight_is_weighed_by_all_that_reads_it(
    toys: ModuleType, compiled: ModuleType, tmp_path: Path
) -> None:
    model = toys.write(twice(toys), tmp_path / "model.onnx")
    x = np.random.default_rng(0).standard_normal((300, 130)) * np.geomspace(0.1, 3.0, 130)
    np.savez(tmp_path / "calib.npz", x=x.astype(np.float32))
    statements = compiled.every("lowrank(rank: 9) on calib")
    done = compiled.build(model, tmp_path / "out", 'data calib = npz("calib.npz")', *statements)
    weight = compiled.initializers(model)["shared.weight"].astype(np.float64)
    rows = np.concatenate([x, np.maximum(x @ weight, 0.0)])
    # The best of rank 9 for all rows together: a truncated SVD of what they become.
    singular = np.linalg.svd(rows @ weight, compute_uv=False)
    best = np.sqrt((singular[9:] ** 2).sum() / (singular**2).sum())
    a, b = compiled.cores(done.out, "first")[0]
    error = np.linalg.norm(rows @ (weight - a.astype(np.float64) @ b)) / np.linalg.norm(rows @ weight)
    assert error == pytest.approx(best, rel=1e-3)  # the ridge of the metric, and float32
    assert done.plan.layers[0].predicted_error == pytest.approx(best, rel=1e-3)


def test_what_only_one_rule_claims_is_not_shared(toys: ModuleType, compiled: ModuleType, tmp_path: Path) -> None:
    model = toys.write(twice(toys), tmp_path / "model.onnx")
    rules = ("select all = *", 'select last = * where name ~ "second"')
    rewrites = ("rewrite all -> lowrank(rank: 3)", "rewrite last -> lowrank(rank: 5)")
    done = compiled.build(model, tmp_path / "out", "optimize memory", *rules, *rewrites)
    assert [(e.settled, e.shares) for e in done.plan.layers] == [({"rank": 3}, None), ({"rank": 5}, None)]
    assert done.plan.parameters == 260 * (3 + 5)


def test_a_tied_table_stays_and_the_plan_says_so(
    toys: ModuleType, compiled: ModuleType, load_emitted: Load, qtnc: Callable[..., Any], tmp_path: Path
) -> None:
    model = toys.write(tied(toys), tmp_path / "model.onnx")
    done = compiled.build(model, tmp_path / "out", *compiled.every("lowrank(rank: 120)"))
    (head,) = done.plan.layers
    assert (head.layer, head.op, head.shape) == ("head", "MatMul", (120, 160))
    note = "the dense weight of `head` stays, for `embed` (Gather) reads it too: nothing is saved"
    assert note in done.plan.notes
    assert f"note: {note}" in qtnc("plan", model, tmp_path / "spec.qtn").out
    assert done.plan.parameters == 160 * 120 + head.parameters
    for form in compiled.stored(done.out):
        assert sum(array.size for array in form.values() if array.dtype.kind == "f") == done.plan.parameters
    for shape in ((2, 5), (1, 1)):
        ids = np.random.default_rng(0).integers(0, 160, shape)
        compiled.check_same(run(model, ids=ids), done.out, {"ids": ids}, load_emitted)


def test_layers_of_bodies_are_listed_and_rewritten(
    toys: ModuleType, compiled: ModuleType, load_emitted: Load, qtnc: Callable[..., Any], tmp_path: Path
) -> None:
    model = toys.write(toys.branching(), tmp_path / "model.onnx")
    listed = [entry["layer"] for entry in json.loads(qtnc("inspect", model, "--format", "json").out)]
    assert listed[0] == "up"
    assert set(listed) == {"up", "left", "right", "again"}
    spec, out = tmp_path / "spec.qtn", tmp_path / "out"
    spec.write_text("qtn 1\noptimize memory\nselect s = *\nrewrite s -> mpo(sites: 2)\nemit torch\nemit onnx\n")
    assert qtnc("compile", model, spec, "-o", out).code == 0
    plan = {entry["layer"]: entry for entry in json.loads((out / "plan.json").read_text())["layers"]}
    assert {name for name, entry in plan.items() if entry["structure"] == "mpo"} >= {"up", "left", "right"}
    assert all(e["structure"] == "mpo" or "the rank of its input" in e["reason"] for e in plan.values())
    x = np.random.default_rng(0).standard_normal((3, 16)).astype(np.float32)
    for rows in (x, x[:1]):
        for branch in (True, False):
            feeds = {"x": rows, "c": np.array(branch)}
            compiled.check_same(run(model, **feeds), out, feeds, load_emitted)


@pytest.mark.parametrize("structure", ["lowrank", "mpo(sites: 2)"])
def test_layers_of_a_scan_are_rewritten(
    structure: str,
    toys: ModuleType,
    compiled: ModuleType,
    load_emitted: Load,
    qtnc: Callable[..., Any],
    tmp_path: Path,
) -> None:
    """One with its weight in the body, one with a weight of the graph around it."""
    model, spec, out = toys.write(toys.scanning(), tmp_path / "model.onnx"), tmp_path / "spec.qtn", tmp_path / "out"
    spec.write_text(f"qtn 1\noptimize memory\nselect s = *\nrewrite s -> {structure}\nemit torch\nemit onnx\n")
    assert qtnc("compile", model, spec, "-o", out).code == 0
    plan = {entry["layer"]: entry["structure"] for entry in json.loads((out / "plan.json").read_text())["layers"]}
    assert plan == dict.fromkeys(("state", "input"), structure.partition("(")[0])
    (scan,) = onnx.load(out / "onnx" / "model.onnx").graph.node
    assert "Gemm" not in [made.op_type for made in scan.attribute[0].g.node]
    rng = np.random.default_rng(0)
    for batch, length in ((3, 5), (1, 1)):
        shapes = {"start": (batch, 16), "x": (length, batch, 16)}
        feeds = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
        compiled.check_same(run(model, **feeds), out, feeds, load_emitted)


def test_a_branch_that_is_known_takes_the_place_of_its_if(
    toys: ModuleType, compiled: ModuleType, load_emitted: Load, tmp_path: Path
) -> None:
    """A condition that the exporter left, such as one on a shape that turned out to be constant."""
    branches = {
        name: helper.make_graph(
            [node("MatMul", ["x", f"{name}.weight"], [name], name=f"/{name}/MatMul")],
            name,
            [],
            [toys.value(name, ["batch", 8])],
            [toys.weight(f"{name}.weight", 6, 8)],
        )
        for name in ("up", "other")
    }
    nodes = [
        node("Equal", ["two", "two"], ["c"]),
        node("If", ["c"], ["y"], then_branch=branches["up"], else_branch=branches["other"]),
    ]
    two = numpy_helper.from_array(np.array(2), "two")
    proto = toys.model(nodes, [toys.value("x", ["batch", 6])], [toys.value("y", ["batch", 8])], [two])
    model = toys.write(proto, tmp_path / "model.onnx")
    x = np.random.default_rng(0).standard_normal((3, 6)).astype(np.float32)
    np.savez(tmp_path / "calib.npz", x=x)
    statements = compiled.every("lowrank on calib")
    done = compiled.build(model, tmp_path / "out", 'data calib = npz("calib.npz")', *statements)
    assert [(entry.layer, entry.structure) for entry in done.plan.layers] == [("up", "lowrank")]
    assert "If" not in [made.op_type for made in onnx.load(done.out / "onnx" / "model.onnx").graph.node]
    compiled.check_same(run(model, x=x), done.out, {"x": x}, load_emitted)


def test_layers_of_functions_are_found(
    toys: ModuleType, compiled: ModuleType, load_emitted: Load, tmp_path: Path
) -> None:
    """A function called twice with other weights is two layers."""
    body = [node("MatMul", ["v", "w"], ["h"]), node("Relu", ["h"], ["r"])]
    imports = [helper.make_opsetid("", 18)]
    proto = toys.model(
        [
            node("Block", ["x", "up.weight"], ["a"], domain="own"),
            node("Block", ["a", "down.weight"], ["y"], domain="own"),
        ],
        [toys.value("x", ["batch", 6])],
        [toys.value("y", ["batch", 4])],
        [toys.weight("up.weight", 6, 8), toys.weight("down.weight", 8, 4)],
    )
    proto.opset_import.append(helper.make_opsetid("own", 1))
    proto.functions.append(helper.make_function("own", "Block", ["v", "w"], ["r"], body, imports))
    model = toys.write(proto, tmp_path / "model.onnx")
    assert [layer.name for layer in find_layers(prepare(read_model(model)))] == ["up", "down"]
    done = compiled.build(model, tmp_path / "out", *compiled.every("lowrank"))
    assert [entry.structure for entry in done.plan.layers] == ["lowrank", "lowrank"]
    x = np.random.default_rng(0).standard_normal((3, 6)).astype(np.float32)
    for rows in (x, x[:1]):
        compiled.check_same(run(model, x=rows), done.out, {"x": rows}, load_emitted)


def test_a_large_weight_is_found_without_being_copied(toys: ModuleType) -> None:
    """A hundred megabytes behind a Transpose, looked up in too; nothing is folded, nothing is read."""
    rows, columns = 5000, 5243
    nodes = [
        node("Gather", ["embed.weight", "ids"], ["e"], name="embed"),
        node("Transpose", ["embed.weight"], ["t"], perm=[1, 0]),
        node("MatMul", ["e", "t"], ["y"], name="/head/MatMul"),
    ]
    big = numpy_helper.from_array(np.zeros((rows, columns), np.float32), "embed.weight")
    ids, y = toys.value("ids", ["n"], toys.INT64), toys.value("y", ["n", rows])
    proto = toys.model(nodes, [ids], [y], [big])
    model = prepare(ir.from_proto(onnx.shape_inference.infer_shapes(proto)))
    found = {layer.name: layer for layer in find_layers(model)}
    assert (found["head"].matrix_shape, found["head"].bytes) == ((columns, rows), 4 * rows * columns)
    assert found["head"].key == (found["embed"].key[0], True)
    assert list(model.graph.initializers) == ["embed.weight"]


def test_stored_bytes_of_a_quantised_weight_are_those_of_its_integers(
    toys: ModuleType, qtnc: Callable[..., Any], tmp_path: Path
) -> None:
    """The plan does not call it a saving to store a quarter of the numbers in four times the bytes."""
    whole = np.random.default_rng(0).integers(-127, 128, (256, 256)).astype(np.int8)
    nodes = [
        node("DequantizeLinear", ["q.weight", "scale"], ["w"], axis=1),
        node("MatMul", ["x", "w"], ["y"], name="/q/MatMul"),
    ]
    x, y = toys.value("x", ["batch", 256]), toys.value("y", ["batch", 256])
    weights = [numpy_helper.from_array(whole, "q.weight"), numpy_helper.from_array(np.ones(256, np.float32), "scale")]
    model = toys.write(toys.model(nodes, [x], [y], weights), tmp_path / "model.onnx")
    (listed,) = json.loads(qtnc("inspect", model, "--format", "json").out)
    assert listed["shape"] == [256, 256]
    assert (listed["layer"], listed["dtype"], listed["bytes"]) == ("q", "FLOAT", 256 * 256 + 4 * 256)
    spec = tmp_path / "spec.qtn"
    spec.write_text("qtn 1\noptimize memory\nselect s = *\nrewrite s -> lowrank(bytes: 50%)\nemit onnx\n")
    (entry,) = json.loads(qtnc("plan", model, spec, "--json").out)["layers"]
    assert entry["reason"] == "dense is smaller: lowrank needs 131,072 of 66,560 bytes"


@pytest.mark.parametrize("form", ["transpose", "left", "gemm", "conv"])
def test_bfloat16(form: str, toys: ModuleType) -> None:
    """onnxruntime multiplies no bfloat16 on CPU: the stored cores are, and multiplied in float64 give the weight."""
    weight = np.random.default_rng(0).standard_normal((6, 4)).astype(ml_dtypes.bfloat16)
    stored = {"gemm": weight, "conv": weight.T.reshape(4, 6, 1)}.get(form, weight.T)
    tensor = helper.make_tensor("w.weight", TensorProto.BFLOAT16, stored.shape, stored.tobytes(), raw=True)
    nodes = {
        "transpose": [node("Transpose", ["w.weight"], ["t"]), node("MatMul", ["x", "t"], ["y"])],
        "left": [node("MatMul", ["w.weight", "x"], ["y"])],
        "gemm": [node("Gemm", ["x", "w.weight"], ["y"], transA=1, alpha=0.5)],
        "conv": [node("Conv", ["x", "w.weight"], ["y"])],
    }[form]
    shape = {"transpose": ["rows", 6], "conv": ["batch", 6, "rows"]}.get(form, [6, "rows"])
    kind = TensorProto.BFLOAT16
    proto = toys.model(nodes, [toys.value("x", shape, kind)], [toys.value("y", None, kind)], [tensor])
    model = prepare(ir.from_proto(onnx.shape_inference.infer_shapes(proto)))
    (layer,) = find_layers(model)
    assert layer.dtype == ir.DataType.BFLOAT16
    np.testing.assert_array_equal(layer.matrix(), weight.astype(np.float64))
    proposal = LowRank().propose(Problem(layer.matrix()))
    result = Pipeline([MatmulToLowrank((Decision(layer.name, proposal.structure),)), LowerToOnnx()]).run(model)
    onnx.checker.check_model(ir.to_proto(result.model))
    arrays = [v.const_value for v in result.model.graph.initializers.values() if v.name and ".core_" in v.name]
    assert all(array is not None and array.dtype == ir.DataType.BFLOAT16 for array in arrays)
    a, b = (array.numpy().astype(np.float64) for array in arrays if array is not None)
    assert np.linalg.norm(a @ b - weight.astype(np.float64)) <= 2**-7 * np.linalg.norm(weight.astype(np.float64))


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("op", ["left", "conv", "transpose"])
def test_what_is_not_finite_is_refused_by_name(
    op: str, wrong: float, toys: ModuleType, qtnc: Callable[..., Any], tmp_path: Path
) -> None:
    weight = np.ones((4, 6), np.float32)
    weight[1, 2] = wrong
    nodes = {
        "left": [node("MatMul", ["w", "x"], ["y"], name="/block/up/MatMul")],
        "conv": [node("Conv", ["x", "w"], ["y"], name="/block/up/Conv")],
        "transpose": [node("Transpose", ["w"], ["t"]), node("MatMul", ["x", "t"], ["y"], name="/block/up/MatMul")],
    }[op]
    shape = {"left": [6, "n"], "conv": ["b", 6, "n"], "transpose": ["n", 6]}[op]
    stored = numpy_helper.from_array(weight.reshape(4, 6, 1) if op == "conv" else weight, "w")
    proto = toys.model(nodes, [toys.value("x", shape)], [toys.value("y", [None] * len(shape))], [stored])
    model, spec = toys.write(proto, tmp_path / "model.onnx"), tmp_path / "spec.qtn"
    spec.write_text("qtn 1\nselect s = *\nrewrite s -> lowrank(rank: 2)\nemit onnx\n")
    done = qtnc("plan", model, spec)
    assert done.code == 1
    assert "the weight of layer `block.up` holds NaN or infinity" in done.err


def test_a_chain_as_long_as_a_file_allows_is_followed(toys: ModuleType) -> None:
    nodes = [node("Transpose", [f"t{k}"], [f"t{k + 1}"], perm=[1, 0]) for k in range(3000)]
    nodes.append(node("MatMul", ["x", "t3000"], ["y"], name="/up/MatMul"))
    x, y = toys.value("x", ["n", 3]), toys.value("y", ["n", 4])
    model = ir.from_proto(toys.model(nodes, [x], [y], [toys.weight("t0", 3, 4)]))
    for made in model.graph:
        made.outputs[0].shape = None  # so that numbers must be computed
    (layer,) = find_layers(model)
    assert layer.matrix_shape == (3, 4)
    assert MatmulToMpo().run(model).notes == ()
