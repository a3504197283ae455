"""Mixtures of experts as exporters write them, compiled to both forms; one expert's weight as a slice of the stack."""

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
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from qtnc.ir.layers import find_layers

Array = NDArray[Any]
Load = Callable[[Path], torch.nn.Module]
Write = Callable[[str, str], Path]

EXPORTERS = ["dynamo", "legacy"]
EXPERTS = 'select experts = * where name ~ re"experts(:\\d+)?$" and weight.elements >= 900'
CALIB = 'data calib = npz("calib.npz")'


node = helper.make_node


@pytest.fixture
def write(moe: ModuleType, export_model: Callable[..., Path], tmp_path: Path) -> Write:
    """Export the decoder in a style."""

    def written(style: str, exporter: str) -> Path:
        torch.manual_seed(0)
        ids = torch.randint(0, moe.VOCABULARY, (2, 5))
        axes = {name: {0: "batch", 1: "seq"} for name in ("ids", "logits")}
        path = tmp_path / "model.onnx"
        return export_model(moe.Decoder(style), {"ids": ids}, axes, exporter, path, None, ["logits"])

    return written


def feeds(moe: ModuleType, *shape: int) -> dict[str, Array]:
    return {"ids": np.random.default_rng(list(shape)).integers(0, moe.VOCABULARY, shape)}


def run(model: Path, fed: dict[str, Array]) -> list[Array]:
    return ort.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, fed)


def floats(arrays: dict[str, Array]) -> int:
    return sum(array.size for array in arrays.values() if array.dtype.kind == "f")


def sliced(toys: ModuleType) -> onnx.ModelProto:
    """Two experts of a weight that is too large to be folded, the first by Gather, the second by Slice."""
    nodes = [
        node("Gather", ["experts.weight", "zero"], ["first"]),
        node("MatMul", ["x", "first"], ["a"], name="/first/MatMul"),
        node("Slice", ["experts.weight", "one", "two"], ["second"]),
        node("MatMul", ["x", "second"], ["b"], name="/second/MatMul"),
        node("Add", ["a", "b"], ["y"]),
    ]
    numbers = {"zero": np.array(0), "one": np.array([1]), "two": np.array([2])}
    weights = [toys.weight("experts.weight", 2, 150, 120), *(numpy_helper.from_array(v, k) for k, v in numbers.items())]
    return toys.model(nodes, [toys.value("x", ["n", 150])], [toys.value("y", [1, "n", 120])], weights)


@pytest.mark.parametrize(("exporter", "structure"), [("dynamo", "lowrank"), ("legacy", "mpo(sites: 2)")])
@pytest.mark.parametrize("style", ["bmm", "broadcast", "einsum"])
def test_experts_in_one_weight(
    style: str, exporter: str, structure: str, moe: ModuleType, write: Write, compiled: ModuleType, load_emitted: Load
) -> None:
    model = write(style, exporter)
    rules = ("bind batch = 2, seq = 5", "optimize memory", EXPERTS, f"rewrite experts -> {structure}")
    done = compiled.build(model, model.parent / "out", *rules)
    up, down = (moe.EXPERTS, moe.WIDTH, moe.HIDDEN), (moe.EXPERTS, moe.HIDDEN, moe.WIDTH)
    assert [(e.shape, e.structure) for e in done.plan.layers] == [
        (s, structure.partition("(")[0]) for s in [up, down] * 2
    ]
    assert all(entry.op == ("Einsum" if style == "einsum" else "MatMul") for entry in done.plan.layers)
    for shape in ((2, 5), (1, 1), (3, 7)):
        fed = feeds(moe, *shape)
        compiled.check_same(run(model, fed), done.out, fed, load_emitted)


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("style", ["indexed", "unbound"])
def test_experts_as_slices_of_one_weight(
    style: str, exporter: str, moe: ModuleType, write: Write, compiled: ModuleType, load_emitted: Load
) -> None:
    model = write(style, exporter)
    done = compiled.build(model, model.parent / "out", "optimize memory", EXPERTS, "rewrite experts -> lowrank")
    assert len(done.plan.layers) == 2 * 2 * moe.EXPERTS
    assert {(entry.shape, entry.structure) for entry in done.plan.layers} == {
        ((moe.WIDTH, moe.HIDDEN), "lowrank"),
        ((moe.HIDDEN, moe.WIDTH), "lowrank"),
    }
    for shape in ((2, 5), (1, 1)):
        fed = feeds(moe, *shape)
        compiled.check_same(run(model, fed), done.out, fed, load_emitted)


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("style", ["bmm", "einsum"])
def test_fits_are_weighed_by_the_rows_of_each_expert(
    style: str, exporter: str, moe: ModuleType, write: Write, compiled: ModuleType, load_emitted: Load
) -> None:
    """The second weight of a layer reads what each expert made, so its error is the least that rank 6 allows."""
    model = write(style, exporter)
    np.savez(model.parent / "calib.npz", **feeds(moe, 24, 9))
    rules = (CALIB, "optimize memory", EXPERTS, "rewrite experts -> lowrank(rank: 6) on calib")
    done = compiled.build(model, model.parent / "out", *rules)
    hidden: dict[int, list[Array]] = {}
    torch.manual_seed(0)
    torch.randint(0, moe.VOCABULARY, (2, 5))
    decoder = moe.Decoder("broadcast").eval()
    for number, block in enumerate(decoder.layers):
        block.experts.register_forward_pre_hook(
            lambda experts, inputs, number=number: hidden.setdefault(number, []).append(_hidden(experts, *inputs))
        )
    with torch.no_grad():
        decoder(torch.from_numpy(feeds(moe, 24, 9)["ids"]))
    for number, block in enumerate(decoder.layers):
        entry = done.plan.layers[2 * number + 1]
        outputs = np.concatenate(hidden[number], 1) @ block.experts.down.detach().double().numpy()
        values = np.linalg.svd(outputs, compute_uv=False)
        best = np.sqrt((values[:, 6:] ** 2).sum() / (values**2).sum())
        assert entry.predicted_error == pytest.approx(best, rel=1e-3)  # the ridge of the metric, and float32


def _hidden(experts: Any, x: torch.Tensor) -> Array:
    """What the second weight reads, (EXPERTS, tokens, HIDDEN) in float64."""
    made = torch.nn.functional.gelu(x.reshape(-1, x.shape[-1]) @ experts.up + experts.up_bias[:, None])
    return made.double().numpy()


def test_a_stack_goes_when_all_its_slices_are_rewritten(
    toys: ModuleType, compiled: ModuleType, load_emitted: Load, tmp_path: Path
) -> None:
    model = toys.write(sliced(toys), tmp_path / "model.onnx")
    done = compiled.build(model, tmp_path / "out", *compiled.every("lowrank(rank: 120)"))
    assert [(entry.layer, entry.original_bytes) for entry in done.plan.layers] == [
        ("first", 4 * 150 * 120),
        ("second", 4 * 150 * 120),
    ]
    assert done.plan.parameters == 2 * 120 * (150 + 120)
    for form in compiled.stored(done.out):
        assert floats(form) == done.plan.parameters
    x = np.random.default_rng(0).standard_normal((3, 150)).astype(np.float32)
    compiled.check_same(run(model, {"x": x}), done.out, {"x": x}, load_emitted)


def test_a_stack_stays_while_a_slice_is_read(
    toys: ModuleType, compiled: ModuleType, load_emitted: Load, tmp_path: Path
) -> None:
    model = toys.write(sliced(toys), tmp_path / "model.onnx")
    rules = ("optimize memory", 'select s = * where name ~ "first"', "rewrite s -> lowrank(rank: 120)")
    done = compiled.build(model, tmp_path / "out", *rules)
    assert "the dense weight of `first` stays, for `second` (MatMul) reads it too: nothing is saved" in done.plan.notes
    assert done.plan.parameters == 2 * 150 * 120 + 120 * (150 + 120)
    for form in compiled.stored(done.out):
        assert floats(form) == done.plan.parameters
    x = np.random.default_rng(0).standard_normal((3, 150)).astype(np.float32)
    compiled.check_same(run(model, {"x": x}), done.out, {"x": x}, load_emitted)


def test_a_gather_that_repeats_is_not_followed(toys: ModuleType) -> None:
    """Indices could ask for far more than is stored."""
    nodes = [node("Gather", ["w", "often"], ["v"]), node("MatMul", ["x", "v"], ["y"])]
    often = numpy_helper.from_array(np.zeros(500, np.int64), "often")
    proto = toys.model(
        nodes, [toys.value("x", ["n", 500])], [toys.value("y", ["n", 6])], [toys.weight("w", 4, 6), often]
    )
    assert find_layers(ir.from_proto(onnx.shape_inference.infer_shapes(proto))) == ()
