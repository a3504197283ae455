"""Three families by two exporters: equal to onnxruntime, standalone, trainable, exportable."""

import ast
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

FAMILIES = [(f, e) for f in ("llama", "gpt2", "bert") for e in ("dynamo", "legacy")]
SHAPES = [(2, 5), (3, 9)]
TOLERANCE = 1e-5
"""Relative Frobenius error; measured 1e-7 to 4e-7."""


def error(expected: np.ndarray, got: torch.Tensor) -> float:
    return float(np.linalg.norm(got.detach().numpy() - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize(("family", "exporter"), FAMILIES)
def test_agrees_with_onnxruntime(exported, family, exporter):
    model = exported(family, exporter)
    module = model.module()
    for shape in SHAPES:
        feeds = model.feeds(*shape)
        got = module(*map(torch.from_numpy, feeds.values()))
        got = [got] if isinstance(got, torch.Tensor) else list(got)
        for expected, y in zip(model.reference(feeds), got, strict=True):
            assert y.shape == expected.shape
            assert error(expected, y) < TOLERANCE


_STANDALONE = """
import sys
sys.path.insert(0, {folder!r})
import torch, model
m = model.load()
assert not m.training
inputs = [torch.ones(2, 4, dtype=torch.int64) for _ in range({inputs})]
m(*inputs)
ours = sorted(n for n in sys.modules if n.split(".")[0] in ("qtnc", "onnx", "onnx_ir", "onnxruntime"))
print(ours)
"""


@pytest.mark.parametrize(("family", "exporter"), [("bert", "dynamo")])
def test_runs_without_the_compiler(exported, family, exporter):
    model = exported(family, exporter)
    code = _STANDALONE.format(folder=str(model.folder), inputs=3)
    run = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize(("family", "exporter"), FAMILIES)
def test_imports_only_torch_safetensors_and_the_standard_library(exported, family, exporter):
    tree = ast.parse((exported(family, exporter).folder / "model.py").read_text())
    roots = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [a.name for a in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert roots <= {"torch", "safetensors", "pathlib", "typing"}


@pytest.mark.parametrize(("family", "exporter"), FAMILIES)
def test_every_parameter_gets_a_gradient(exported, family, exporter):
    model = exported(family, exporter)
    module = model.module()
    result = module(*map(torch.from_numpy, model.feeds(2, 6).values()))
    outputs = [result] if isinstance(result, torch.Tensor) else list(result)
    torch.manual_seed(1)
    sum((y * torch.randn_like(y)).sum() for y in outputs).backward()
    silent = [n for n, p in module.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # A bias added to every key shifts each row of the scores by one number, which softmax forgets.
    assert [n for n in silent if "key" not in n] == []
    assert not any(p.grad is None for p in module.parameters())


@pytest.mark.parametrize(("family", "exporter"), [("llama", "dynamo"), ("gpt2", "legacy")])
def test_state_dict_is_the_file_and_survives_a_round_trip(exported, family, exporter, tmp_path):
    model = exported(family, exporter)
    module = model.module()
    assert set(module.state_dict()) == set(load_file(model.folder / "model.safetensors"))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.01)
    save_file(module.state_dict(), tmp_path / "moved.safetensors")
    again = sys.modules[type(module).__module__].load(tmp_path / "moved.safetensors")
    inputs = tuple(map(torch.from_numpy, model.feeds(2, 3).values()))
    assert torch.equal(again(*inputs), module(*inputs))


@pytest.mark.parametrize(("family", "exporter"), [("llama", "dynamo"), ("gpt2", "legacy"), ("bert", "dynamo")])
def test_torch_export_keeps_batch_and_sequence_dynamic(exported, family, exporter):
    model = exported(family, exporter)
    module = model.module()
    inputs = tuple(map(torch.from_numpy, model.feeds(2, 5).values()))
    dims = {0: torch.export.Dim("batch", min=2, max=16), 1: torch.export.Dim("sequence", min=2, max=20)}
    program = torch.export.export(module, inputs, dynamic_shapes=tuple(dims for _ in inputs)).module()
    other = tuple(map(torch.from_numpy, model.feeds(4, 11).values()))
    for a, b in zip(*(list(m(*other)) for m in (program, module)), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


@pytest.mark.parametrize(("family", "exporter"), [("llama", "legacy"), ("gpt2", "dynamo"), ("bert", "legacy")])
def test_torch_compile_takes_the_whole_graph(exported, family, exporter):
    model = exported(family, exporter)
    module = model.module()
    inputs = tuple(map(torch.from_numpy, model.feeds(2, 5).values()))
    torch._dynamo.reset()
    compiled = torch.compile(module, backend="eager", fullgraph=True, dynamic=True)
    for a, b in zip(list(compiled(*inputs)), list(module(*inputs)), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


@pytest.mark.parametrize(("family", "exporter"), [("llama", "legacy"), ("bert", "dynamo")])
def test_moves_to_double(exported, family, exporter):
    model = exported(family, exporter)
    feeds = model.feeds(2, 5)
    result = model.module().double()(*map(torch.from_numpy, feeds.values()))
    y = result if isinstance(result, torch.Tensor) else result[0]
    assert y.dtype == torch.float64
    assert error(model.reference(feeds)[0], y) < TOLERANCE
