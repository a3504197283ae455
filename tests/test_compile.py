"""The whole road: what is compiled says what the original says, holds what the plan said, and is always the same."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from qtnc.compiler import Compiled, compile_model, plan

Families = Callable[[str, str], Any]
Load = Callable[[Path], torch.nn.Module]
Partly = Callable[[str, str], tuple[Path, Compiled]]

FAMILIES = [(f, e) for f in ("llama", "gpt2", "bert") for e in ("dynamo", "legacy")]
SHAPES = [(2, 5), (3, 9)]
EXACT = ["mpo(sites: 2)", "mpo(sites: 3)", "lowrank"]
"""Structures without limits: they stand for any weight."""

SLACK = 1e-6
"""What rounding cores to float32 adds to a relative error; measured 1e-7."""

LIMITED = (
    "bind batch = 2, sequence = 5",
    "optimize memory",
    'select square = (MatMul or Gemm) where weight.elements == 1Ki and name ~ "*.1.*"',
    "select large = (MatMul or Gemm) where weight.elements > 1500",
    "rewrite square -> lowrank(bytes: 60%)",
    "rewrite large -> mpo(sites: auto, bytes: 45%)",
)
"""Some products as low rank, some as operators; the small ones, tables, biases and norms stay."""

WEIGHED = (
    "bind batch = 1, sequence = 8",
    'data calib = npz("calib.npz") take 12',
    "optimize memory",
    'select attn = MatMul where name ~ "*.attn.*"',
    'select mlp = MatMul where name ~ "*.mlp.*"',
    "rewrite attn -> lowrank(error: 50%) on calib",
    "rewrite mlp -> mpo(sites: auto, bytes: 50%) on calib",
    "verify outputs within 60% on calib",
)
"""Fits in the metric of data, held to an error and to a share of the bytes."""


@pytest.fixture(scope="module")
def partly(families: Families, compiled: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Partly:
    """A family of which some products are rewritten, beside its original; compiled once."""
    done: dict[tuple[str, str], tuple[Path, Compiled]] = {}

    def get(family: str, exporter: str) -> tuple[Path, Compiled]:
        if (family, exporter) not in done:
            model = families(family, exporter).onnx
            done[family, exporter] = model, compiled.build(model, tmp_path_factory.mktemp("partly") / "out", *LIMITED)
        return done[family, exporter]

    return get


@pytest.fixture(scope="module")
def weighed(
    families: Families, compiled: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Compiled]:
    """A decoder fitted in the metric of data, beside its original."""
    model = families("llama", "dynamo").onnx
    folder = tmp_path_factory.mktemp("weighed")
    np.savez(folder / "calib.npz", ids=np.random.default_rng(0).integers(0, 61, (16, 8)))
    return model, compiled.build(model, folder / "out", *WEIGHED)


@pytest.mark.parametrize("structure", EXACT)
@pytest.mark.parametrize(("family", "exporter"), FAMILIES)
def test_without_limits_a_family_stays_what_it_is(
    family: str,
    exporter: str,
    structure: str,
    families: Families,
    compiled: ModuleType,
    load_emitted: Load,
    tmp_path: Path,
) -> None:
    model = families(family, exporter)
    done = compiled.build(model.onnx, tmp_path / "out", "bind batch = 2, sequence = 5", *compiled.every(structure))
    graph = onnx.load(model.onnx).graph
    constant = {tensor.name for tensor in graph.initializer}
    products = sum(node.op_type in ("MatMul", "Gemm") and node.input[1] in constant for node in graph.node)
    assert [entry.structure for entry in done.plan.layers] == [structure.partition("(")[0]] * products
    for shape in SHAPES:
        feeds = model.feeds(*shape)
        compiled.check_same(model.reference(feeds), done.out, feeds, load_emitted)


@pytest.mark.parametrize("structure", EXACT)
@pytest.mark.parametrize("toy", ["mlp", "old"])
def test_without_limits_a_toy_stays_what_it_is(
    toy: str, structure: str, toys: ModuleType, compiled: ModuleType, load_emitted: Load, tmp_path: Path
) -> None:
    model = toys.write(getattr(toys, toy)(), tmp_path / "model.onnx")
    out = compiled.build(model, tmp_path / "out", "bind batch = 2", *compiled.every(structure)).out
    original = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    for batch in (1, 7):
        feeds = {"x": np.random.default_rng(batch).standard_normal((batch, 16)).astype(np.float32)}
        compiled.check_same(original.run(None, feeds), out, feeds, load_emitted)


@pytest.mark.parametrize(("family", "exporter"), FAMILIES)
def test_what_the_plan_counts_is_what_is_there(
    family: str, exporter: str, partly: Partly, compiled: ModuleType
) -> None:
    _, done = partly(family, exporter)
    layers = done.plan.layers
    assert {entry.structure for entry in layers} == {"lowrank", "mpo"}
    for entry in layers:
        compiled.check_counts(entry, done.out)
    by_onnx, _ = compiled.stored(done.out)
    # Shapes, pads and bounds that the lowering of a layer needs are no weights.
    weights = [x for name, x in by_onnx.items() if not any(name.startswith(f"{entry.layer}/") for entry in layers)]
    assert sum(x.size for x in weights if x.dtype.kind == "f") == done.plan.parameters
    assert sum(x.nbytes for x in weights) == done.plan.bytes
    assert done.plan.parameters < done.plan.model_parameters
    report = json.loads((done.out / "report.json").read_text())
    counts = {"original": done.plan.model_parameters, "compiled": done.plan.parameters}
    assert report["parameters"] == counts
    said = {entry.layer: (entry.structure, entry.parameters, entry.original_parameters) for entry in layers}
    assert said == {n["layer"]: (n["structure"], n["parameters"], n["original_parameters"]) for n in report["layers"]}


@pytest.mark.parametrize(("family", "exporter"), FAMILIES)
def test_what_is_not_rewritten_is_kept_bit_for_bit(
    family: str, exporter: str, partly: Partly, compiled: ModuleType
) -> None:
    original, done = partly(family, exporter)
    before, (by_onnx, by_torch) = compiled.initializers(original), compiled.stored(done.out)
    kept = {name: x for name, x in by_onnx.items() if name in before}
    for name, x in kept.items():
        assert (x.dtype, x.shape, x.tobytes()) == (before[name].dtype, before[name].shape, before[name].tobytes())
    gone = compiled.content(before) - compiled.content(kept)
    assert Counter(shape for _, shape, _ in gone.elements()) == Counter(entry.shape for entry in done.plan.layers)
    others = {name: x for name, x in by_torch.items() if "_core_" not in name}
    assert compiled.content(others) == compiled.content(kept)


@pytest.mark.parametrize(("family", "exporter"), FAMILIES)
def test_inputs_and_outputs_are_kept_and_operators_are_standard(family: str, exporter: str, partly: Partly) -> None:
    original, done = partly(family, exporter)
    before, after = onnx.load(original), onnx.load(done.out / "onnx" / "model.onnx")
    for old, new in ((before.graph.input, after.graph.input), (before.graph.output, after.graph.output)):
        assert [(value.name, value.type) for value in new] == [(value.name, value.type) for value in old]
    assert {node.domain for node in after.graph.node} == {""}
    assert not after.functions
    onnx.checker.check_model(after, full_check=True)


def test_without_rewrites_nothing_changes(
    families: Families, compiled: ModuleType, load_emitted: Load, tmp_path: Path
) -> None:
    model = families("bert", "legacy")
    done = compiled.build(model.onnx, tmp_path / "out")
    assert done.plan.layers == ()
    assert (done.plan.parameters, done.plan.bytes) == (done.plan.model_parameters, done.plan.model_bytes)
    by_onnx, by_torch = map(compiled.content, compiled.stored(done.out))
    assert by_onnx == by_torch == compiled.content(compiled.initializers(model.onnx))
    feeds = model.feeds(2, 5)
    compiled.check_same(model.reference(feeds), done.out, feeds, load_emitted)


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_only_what_the_spec_asks_for_is_emitted(backend: str, place: Any) -> None:
    place.spec.write_text(f"qtn 1\nemit {backend}\n")
    compile_model(place.model, place.spec, place.out)
    reports = {"manifest.json", "plan.json", "report.json", "report.html"}
    assert {path.name for path in place.out.iterdir()} == {backend} | reports


def test_compile_does_what_plan_says(weighed: tuple[Path, Compiled], compiled: ModuleType) -> None:
    model, done = weighed
    with compiled.clock():
        planned = plan(model, done.out.with_name("spec.qtn")).plan
    said, written = json.loads(json.dumps(planned.to_json())), json.loads((done.out / "plan.json").read_text())
    del said["estimate"], written["estimate"]  # how long this machine takes
    assert said == written
    assert {entry.structure for entry in planned.layers} == {"lowrank", "mpo"}
    assert {entry.metric for entry in planned.layers} == {"calib"}
    for entry in planned.layers:
        compiled.check_counts(entry, done.out)


def test_limits_hold_and_no_error_exceeds_what_was_predicted(weighed: tuple[Path, Compiled]) -> None:
    _, done = weighed
    report = json.loads((done.out / "report.json").read_text())
    measured = {note["layer"]: note["error"] for note in report["layers"]}
    assert set(measured) == {entry.layer for entry in done.plan.layers}
    for entry in done.plan.layers:
        assert measured[entry.layer] <= entry.predicted_error + SLACK
        if entry.structure == "lowrank":
            assert measured[entry.layer] <= 0.5 + SLACK
        else:
            assert entry.bytes <= 0.5 * entry.original_bytes


def test_verdicts_are_how_far_the_outputs_are(
    weighed: tuple[Path, Compiled], compiled: ModuleType, load_emitted: Load
) -> None:
    model, done = weighed
    feeds = {"ids": np.load(done.out.with_name("calib.npz"))["ids"][:12]}
    (expected,) = ort.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, feeds)
    (verdict,) = json.loads((done.out / "report.json").read_text())["verify"]
    for backend, (y,) in zip(("onnx", "torch"), compiled.outputs(done.out, feeds, load_emitted), strict=True):
        # Verification runs batches of another size, in which float32 sums in another order.
        assert verdict["errors"][backend]["logits"] == pytest.approx(compiled.distance(expected, y), rel=1e-4)


def test_the_same_inputs_give_the_same_bytes(families: Families, compiled: ModuleType, tmp_path: Path) -> None:
    def files(out: Path) -> dict[str, bytes]:
        found = [out / "manifest.json", *(out / "torch").rglob("*"), *(out / "onnx").rglob("*")]
        return {path.relative_to(out).as_posix(): path.read_bytes() for path in found}

    model = tmp_path / "model.onnx"
    model.write_bytes(families("llama", "legacy").onnx.read_bytes())
    np.savez(tmp_path / "calib.npz", ids=np.random.default_rng(0).integers(0, 61, (16, 8)))
    first = files(compiled.build(model, tmp_path / "first", *WEIGHED).out)
    torch_files = {f"torch/{name}" for name in ("model.py", "model.safetensors", "requirements.txt")}
    assert set(first) == {"manifest.json", "onnx/model.onnx", *torch_files}
    assert files(compiled.build(model, tmp_path / "second", *WEIGHED).out) == first
    # A process of its own, where sets of names have another order and the clock is that of the machine.
    command = [sys.executable, "-m", "qtnc", "compile", "model.onnx", "spec.qtn", "-o", "third"]
    subprocess.run(command, cwd=tmp_path, env=os.environ | {"PYTHONHASHSEED": "7"}, check=True, capture_output=True)
    assert files(tmp_path / "third") == first


@pytest.mark.parametrize(
    ("optimize", "ratio", "kept"),
    [
        ("", 2.0, False),
        ("optimize balanced", 2.0, False),
        ("optimize latency", 2.0, False),
        ("optimize memory", 2.0, True),
        ("optimize balanced", 1.05, True),
        ("optimize latency", 0.95, False),
        ("optimize latency", 0.5, True),
    ],
)
def test_what_is_slower_is_refused_unless_memory_counts(
    optimize: str, ratio: float, kept: bool, toys: ModuleType, compiled: ModuleType, tmp_path: Path
) -> None:
    model = toys.write(toys.mlp(), tmp_path / "model.onnx")
    rewrite = ('select up = MatMul where name ~ "up"', "rewrite up -> lowrank(rank: 3)")
    done = compiled.build(model, tmp_path / "out", "bind batch = 4", optimize, *rewrite, ratio=ratio)
    (entry,) = done.plan.layers
    by_onnx, by_torch = map(compiled.content, compiled.stored(done.out))
    if kept:
        assert (entry.structure, entry.settled, entry.reason) == ("lowrank", {"rank": 3}, "rank as asked")
        assert entry.latency.ratio == ratio
        compiled.check_counts(entry, done.out)
    else:
        assert (entry.structure, entry.settled, entry.parameters) == ("dense", {}, entry.original_parameters)
        word, way_out = ("faster", "") if ratio > 1.0 else ("as fast", ", within noise")
        keeps = "memory" if ratio > 1.0 else "balanced"
        measured = f"lowrank measured {ratio:.2f}x dense at 4 rows in onnxruntime{way_out}"
        assert entry.reason == f"dense is {word}: {measured} (`optimize {keeps}` keeps it)"
        assert by_onnx == by_torch == compiled.content(compiled.initializers(model))
