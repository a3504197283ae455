"""Exported models, emitted modules and goldens for the torch backend."""

import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch

from qtnc.backends.torch.emit import emit_torch

TESTS = Path(__file__).parents[2]
GOLDEN = TESTS / "golden" / "torch"
AXES = {0: "batch", 1: "sequence"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite goldens with what is emitted now")


def load_source(path: Path, name: str) -> ModuleType:
    """Import a file by its path."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def export_model() -> Callable[..., Path]:
    """Export a torch module to a file."""
    return load_source(TESTS / "models" / "export.py", "models_export").export


@pytest.fixture
def load_emitted() -> Callable[[Path], torch.nn.Module]:
    """Load the module emitted into a folder."""
    return lambda folder: load_source(folder / "model.py", f"emitted_{folder.name}").load()


@pytest.fixture(scope="session")
def build() -> ModuleType:
    """Builders of small models."""
    return load_source(Path(__file__).with_name("build.py"), "torch_backend_build")


@pytest.fixture
def emit(tmp_path: Path) -> Callable[[ir.Model], torch.nn.Module]:
    """Emit a model and load it."""

    def run(model: ir.Model) -> torch.nn.Module:
        emit_torch(model, tmp_path)
        return load_source(tmp_path / "model.py", f"emitted_{tmp_path.name}").load()

    return run


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare text with the file of a golden; ``--update-golden`` rewrites it, a missing one fails."""

    def compare(case: str, text: str) -> None:
        path = GOLDEN / case / "model.py"
        if request.config.getoption("--update-golden", default=False):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert path.exists(), f"no golden {path}: make it with --update-golden and read it"
        assert text == path.read_text(), f"{path} differs: --update-golden rewrites it"

    return compare


@dataclass(frozen=True)
class Exported:
    """One exported model, and the folder it was emitted into."""

    onnx: Path
    folder: Path

    def module(self) -> torch.nn.Module:
        name = f"emitted_{self.folder.parent.name}_{self.onnx.stem}".replace("-", "_").replace(".", "_")
        return load_source(self.folder / "model.py", name).load()

    def feeds(self, batch: int, sequence: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(batch * 100 + sequence)
        feeds = {}
        for value in ir.load(self.onnx).graph.inputs:
            limit = 2 if "mask" in value.name or "type" in value.name else 61
            feeds[value.name] = rng.integers(0, limit, (batch, sequence))
            if "mask" in value.name:
                feeds[value.name][:, 0] = 1
        return feeds

    def reference(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        return ort.InferenceSession(self.onnx, providers=["CPUExecutionProvider"]).run(None, dict(feeds))


def family(name: str) -> tuple[torch.nn.Module, dict[str, torch.Tensor], list[str]]:
    """Model, example inputs and output names of one family."""
    models = load_source(TESTS / "models" / f"{name}.py", f"models_{name}")
    torch.manual_seed(0)
    ids = torch.randint(0, 61, (2, 5))
    if name == "bert":
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)}
        return models.Bert(), inputs, ["states", "pooled"]
    model = models.Llama() if name == "llama" else models.Gpt2()
    return model, {"ids": ids}, ["logits"]


@pytest.fixture(scope="session")
def exported(
    tmp_path_factory: pytest.TempPathFactory, export_model: Callable[..., Path]
) -> Callable[[str, str], Exported]:
    """Export a family by an exporter and emit it, once a session."""
    done: dict[tuple[str, str], Exported] = {}

    def get(name: str, exporter: str) -> Exported:
        if (name, exporter) not in done:
            folder = tmp_path_factory.mktemp(f"{name}_{exporter}")
            module, inputs, outputs = family(name)
            axes = dict.fromkeys([*inputs, *outputs], AXES)
            axes |= {"pooled": {0: "batch"}} if "pooled" in outputs else {}
            path = export_model(module, inputs, axes, exporter, folder / f"{name}.onnx", None, outputs)
            out = folder / "torch"
            out.mkdir()
            emit_torch(ir.load(path), out)
            done[name, exporter] = Exported(path, out)
        return done[name, exporter]

    return get
