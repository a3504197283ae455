"""Models of bfloat16 through the whole road, judged in 32 bits or more: onnxruntime multiplies no bfloat16 on CPU."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file

Array = NDArray[Any]
Load = Callable[[Path], torch.nn.Module]

node = helper.make_node

KIND = TensorProto.BFLOAT16
ROUNDING = 2.0**-8
"""Largest relative error of rounding a number to bfloat16."""

SHAPES = {"up": (24, 16), "bias": (24,), "experts": (3, 24, 20), "down": (20, 8), "last": (5, 3, 1)}


def weights() -> dict[str, Array]:
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal(shape).astype(ml_dtypes.bfloat16) for name, shape in SHAPES.items()}


def tensor(name: str, array: Array) -> onnx.TensorProto:
    return helper.make_tensor(name, KIND, array.shape, array.tobytes(), raw=True)


@pytest.fixture
def model(toys: ModuleType, tmp_path: Path) -> Path:
    """x (batch, 16) through a Gemm, three experts, a product and a convolution over them, to (1, 5, 8 batch)."""
    nodes = [
        node("Gemm", ["x", "up", "bias"], ["a"], transB=1, alpha=0.5, name="up"),
        node("Relu", ["a"], ["b"]),
        node("MatMul", ["b", "experts"], ["c"], name="experts"),
        node("MatMul", ["c", "down"], ["d"], name="down"),
        node("Reshape", ["d", "images"], ["e"]),
        node("Conv", ["e", "last"], ["y"], name="last"),
    ]
    stored = [tensor(name, array) for name, array in weights().items()]
    stored.append(numpy_helper.from_array(np.array([1, 3, -1]), "images"))
    proto = toys.model(nodes, [toys.value("x", ["batch", 16], KIND)], [toys.value("y", [1, 5, None], KIND)], stored, 22)
    return toys.write(proto, tmp_path / "model.onnx")


def forward(x: Array, w: dict[str, Array]) -> Array:
    """The model in float64, its products with weights (M, N)."""
    hidden = np.maximum(0.5 * (x @ w["up"]) + w["bias"], 0.0)
    flat = (hidden @ w["experts"] @ w["down"]).reshape(1, 3, -1)
    return np.asarray(np.moveaxis(np.moveaxis(flat, 1, -1) @ w["last"], -1, 1))


def originals() -> dict[str, Array]:
    wide = {name: array.astype(np.float64) for name, array in weights().items()}
    return wide | {"up": wide["up"].T, "last": wide["last"][..., 0].T}


def distance(expected: Array, got: Array) -> float:
    return float(np.linalg.norm(got - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize("data", ["", " on calib"])
@pytest.mark.parametrize("structure", ["lowrank", "mpo(sites: 2)"])
def test_cores_are_bfloat16_and_give_the_weights_back(
    structure: str, data: str, model: Path, qtnc: Callable[..., Any], load_emitted: Load, tmp_path: Path
) -> None:
    x = np.random.default_rng(1).standard_normal((9, 16)).astype(ml_dtypes.bfloat16)
    np.savez(tmp_path / "calib.npz", x=x.astype(np.float32))
    spec, out = tmp_path / "spec.qtn", tmp_path / "out"
    lines = ('data calib = npz("calib.npz")', "optimize memory", "select s = *", f"rewrite s -> {structure}{data}")
    spec.write_text("\n".join(["qtn 1", *lines, "emit torch", "emit onnx", "verify outputs within 5% on calib", ""]))
    done = qtnc("compile", model, spec, "-o", out)
    assert done.code == 0, done.err
    assert qtnc("verify", out).code == 0
    plan = {entry["layer"]: entry for entry in json.loads((out / "plan.json").read_text())["layers"]}
    word = structure.partition("(")[0]
    assert {name: entry["structure"] for name, entry in plan.items()} == dict.fromkeys(
        ("up", "experts", "down", "last"), word
    )

    # Two cores, each rounded once; what is left of a product moves by about as much as they do.
    by_onnx = {t.name: t for t in onnx.load(out / "onnx" / "model.onnx").graph.initializer}
    cores = {name: [by_onnx[f"{name}.core_{k}"] for k in range(2)] for name in plan}
    assert {core.data_type for pair in cores.values() for core in pair} == {KIND}
    by_torch = load_file(out / "torch" / "model.safetensors")
    assert all(value.dtype == torch.bfloat16 for name, value in by_torch.items() if "core" in name)
    expected = originals()
    if structure == "lowrank":
        wide = {name: [numpy_helper.to_array(core).astype(np.float64) for core in pair] for name, pair in cores.items()}
        rebuilt = {name: a @ b for name, (a, b) in wide.items()}
        assert all(distance(expected[name], rebuilt[name]) <= 2 * ROUNDING for name in plan)
        assert distance(forward(x.astype(np.float64), expected), forward(x.astype(np.float64), expected | rebuilt)) <= (
            len(plan) * 2 * ROUNDING
        )

    # torch rounds after each of the eight products and the steps between them as well.
    with torch.no_grad():
        y = load_emitted(out / "torch")(torch.from_numpy(x.astype(np.float32)).to(torch.bfloat16))
    assert y.dtype == torch.bfloat16
    assert distance(forward(x.astype(np.float64), expected), y.double().numpy()) <= 20 * ROUNDING


def test_what_is_cut_off_is_measured(model: Path, qtnc: Callable[..., Any], tmp_path: Path) -> None:
    spec, out = tmp_path / "spec.qtn", tmp_path / "out"
    rules = 'optimize memory\nselect s = * where name ~ "experts"\nrewrite s -> lowrank(rank: 6)'
    spec.write_text(f"qtn 1\n{rules}\nemit onnx\nverify outputs within 90%\n")
    assert qtnc("compile", model, spec, "-o", out).code == 0
    (entry,) = json.loads((out / "plan.json").read_text())["layers"]
    values = np.linalg.svd(weights()["experts"].astype(np.float64), compute_uv=False)
    best = np.sqrt((values[:, 6:] ** 2).sum() / (values**2).sum())
    assert entry["predicted_error"] == pytest.approx(best, abs=1e-6)
    (measured,) = json.loads((out / "report.json").read_text())["layers"]
    assert best - 1e-6 <= measured["error"] <= best + 2 * ROUNDING
