"""One product through the whole road: any form and size, any precision, and the error of what is stored."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
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
from onnx import helper, numpy_helper

from qtnc.planner.plan import LayerPlan

Array = NDArray[Any]
Load = Callable[[Path], torch.nn.Module]

EXACT = ["mpo(sites: 2)", "mpo(sites: 3)", "lowrank"]
"""Structures without limits: they stand for any weight."""

SLACK = 1e-6
"""What rounding cores to float32 adds to a relative error; measured 1e-7."""


@dataclass(frozen=True)
class Product:
    """One product with a constant weight, and what it computes."""

    proto: onnx.ModelProto
    x: Array
    y: Array


def product(node: onnx.NodeProto, stored: Mapping[str, Array], x: Array, y: Array) -> Product:
    """Model of one node, all its leading axes symbolic."""

    def value(name: str, array: Array) -> onnx.ValueInfoProto:
        axes = [*(f"axis_{k}" for k in range(array.ndim - 1)), array.shape[-1]]
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, axes)

    tensors = [numpy_helper.from_array(array, name) for name, array in stored.items()]
    graph = helper.make_graph([node], "product", [value("x", x)], [value("y", y)], tensors)
    return Product(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), x, y)


@st.composite
def products(draw: st.DrawFn) -> Product:
    """MatMul with any number of leading axes, and Gemm in any form."""
    rows, columns = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weight = rng.standard_normal((rows, columns)).astype(np.float32)
    if draw(st.booleans()):
        lead = draw(st.lists(st.integers(1, 3), max_size=3))
        x = rng.standard_normal((*lead, rows)).astype(np.float32)
        return product(helper.make_node("MatMul", ["x", "layer"], ["y"]), {"layer": weight}, x, x @ weight)
    x = rng.standard_normal((draw(st.integers(1, 3)), rows)).astype(np.float32)
    alpha, beta = draw(st.sampled_from([1.0, 0.5, -2.0])), draw(st.sampled_from([1.0, 0.0, 3.0]))
    transposed = draw(st.booleans())
    stored = {"layer": weight.T.copy() if transposed else weight}
    y = np.float32(alpha) * (x @ weight)
    if bias := draw(st.sampled_from([None, (columns,), (1, columns), (1,)])):
        stored["bias"] = rng.standard_normal(bias).astype(np.float32)
        y = y + np.float32(beta) * stored["bias"]
    node = helper.make_node("Gemm", ["x", *stored], ["y"], transB=int(transposed), alpha=alpha, beta=beta)
    return product(node, stored, x, y)


@given(found=products(), structure=st.sampled_from(EXACT))
@settings(max_examples=30, deadline=None)
def test_without_limits_any_product_stays_what_it_is(
    found: Product,
    structure: str,
    compiled: ModuleType,
    load_emitted: Load,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("product")
    onnx.save(found.proto, folder / "model.onnx")
    done = compiled.build(folder / "model.onnx", folder / "out", *compiled.every(structure))
    (entry,) = done.plan.layers
    assert entry.structure == structure.partition("(")[0]
    compiled.check_counts(entry, done.out)
    compiled.check_same([found.y], done.out, {"x": found.x}, load_emitted)


@pytest.mark.parametrize("structure", EXACT)
@pytest.mark.parametrize("shape", [(13, 17), (1, 19), (19, 1), (1, 1), (2, 23)], ids=str)
def test_sizes_that_do_not_factor(
    shape: tuple[int, int], structure: str, compiled: ModuleType, load_emitted: Load, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    weight, x = rng.standard_normal(shape).astype(np.float32), rng.standard_normal((4, shape[0])).astype(np.float32)
    node = helper.make_node("MatMul", ["x", "layer"], ["y"])
    onnx.save(product(node, {"layer": weight}, x, x @ weight).proto, tmp_path / "model.onnx")
    done = compiled.build(tmp_path / "model.onnx", tmp_path / "out", *compiled.every(structure))
    (entry,) = done.plan.layers
    compiled.check_counts(entry, done.out)
    for axis in (0, 1) if entry.structure == "mpo" else ():
        assert prod(site[axis] for site in entry.settled["sites"]) >= shape[axis]
    for rows in (x, x[:1]):
        compiled.check_same([rows @ weight], done.out, {"x": rows}, load_emitted)


def test_padding_is_counted(compiled: ModuleType, tmp_path: Path) -> None:
    weight = np.random.default_rng(0).standard_normal((13, 17)).astype(np.float32)
    node = helper.make_node("MatMul", ["x", "layer"], ["y"])
    onnx.save(product(node, {"layer": weight}, np.ones((1, 13)), np.ones((1, 17))).proto, tmp_path / "model.onnx")
    statements = compiled.every("mpo(sites: [4x4, 4x5], max_bond: 3)")
    done = compiled.build(tmp_path / "model.onnx", tmp_path / "out", *statements)
    (entry,) = done.plan.layers
    compiled.check_counts(entry, done.out)
    assert (entry.parameters, entry.original_parameters) == (3 * (4 * 4 + 4 * 5), 13 * 17)
    assert (entry.bytes, entry.original_bytes) == (4 * entry.parameters, 4 * 13 * 17)


# A few units in the last place of each dtype, over products of 16 and 24 terms.
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float16, 1e-2), (np.float64, 1e-13)])
@pytest.mark.parametrize("structure", EXACT)
def test_weights_keep_their_precision(
    structure: str,
    dtype: type[np.floating[Any]],
    tolerance: float,
    toys: ModuleType,
    compiled: ModuleType,
    load_emitted: Load,
    tmp_path: Path,
) -> None:
    proto = toys.mlp()
    for tensor in proto.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(dtype), tensor.name))
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    model = toys.write(proto, tmp_path / "model.onnx")
    done = compiled.build(model, tmp_path / "out", "bind batch = 2", *compiled.every(structure))
    for entry in done.plan.layers:
        compiled.check_counts(entry, done.out)
        assert {core.dtype for form in compiled.cores(done.out, entry.layer) for core in form} == {np.dtype(dtype)}
    feeds = {"x": np.random.default_rng(0).standard_normal((3, 16)).astype(dtype)}
    expected = ort.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, feeds)
    compiled.check_same(expected, done.out, feeds, load_emitted, tolerance)


@pytest.mark.parametrize("data", ["", " on calib"])
@pytest.mark.parametrize(
    "structure",
    [
        "lowrank(rank: 5)",
        "lowrank(error: 55%)",
        "mpo(sites: 2, max_bond: 4)",
        "mpo(sites: auto, bytes: 60%)",
        "mpo(sites: 3, error: 70%)",
    ],
)
def test_reported_errors_are_those_of_the_stored_cores(
    structure: str, data: str, toys: ModuleType, compiled: ModuleType, tmp_path: Path
) -> None:
    model = toys.write(toys.mlp(), tmp_path / "model.onnx")
    scales = np.geomspace(0.1, 3.0, 16)
    x = (np.random.default_rng(0).standard_normal((40, 16)) * scales).astype(np.float32)
    np.savez(tmp_path / "calib.npz", x=x)
    statements = compiled.every(f"{structure}{data}")
    done = compiled.build(model, tmp_path / "out", 'data calib = npz("calib.npz")', *statements)
    originals = {name: weight.astype(np.float64) for name, weight in compiled.initializers(model).items()}
    inputs = {"up": x.astype(np.float64), "down": np.maximum(x @ originals["up.weight"], 0.0)}
    report = json.loads((done.out / "report.json").read_text())
    measured = {note["layer"]: note["error"] for note in report["layers"]}
    assert set(measured) == set(inputs)
    for entry in done.plan.layers:
        weight = originals[f"{entry.layer}.weight"]
        by = inputs[entry.layer] if data else np.eye(len(weight))
        for cores in compiled.cores(done.out, entry.layer):
            error = np.linalg.norm(by @ (weight - rebuilt(entry, cores))) / np.linalg.norm(by @ weight)
            assert measured[entry.layer] == pytest.approx(error, abs=SLACK)
            assert error <= entry.predicted_error + SLACK


def rebuilt(entry: LayerPlan, cores: list[Array]) -> Array:
    """Weight that the cores of a layer stand for, in float64, padding cut off."""
    if entry.structure == "lowrank":
        return np.asarray(cores[0].astype(np.float64) @ cores[1])
    ends = [1, *entry.settled["bonds"], 1]
    whole = np.ones((1, 1, 1))
    for k, (m, n) in enumerate(entry.settled["sites"]):
        core = cores[k].astype(np.float64).reshape(ends[k], m, n, ends[k + 1])
        whole = np.einsum("xyr,rmns->xmyns", whole, core).reshape(whole.shape[0] * m, whole.shape[1] * n, ends[k + 1])
    return np.asarray(whole[: entry.shape[0], : entry.shape[1], 0])
