"""Exported models, emitted modules and goldens for the torch backend."""

import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch

from qtnc.backends.torch.emit import emit_torch


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


@dataclass(frozen=True)
class Emitted:
    """One exported model, and the folder it was emitted into."""

    exported: Any
    folder: Path

    def module(self) -> torch.nn.Module:
        name = f"emitted_{self.folder.parent.name}_{self.exported.onnx.stem}".replace("-", "_").replace(".", "_")
        return load_source(self.folder / "model.py", name).load()

    def feeds(self, batch: int, sequence: int) -> dict[str, np.ndarray]:
        return self.exported.feeds(batch, sequence)

    def reference(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        return self.exported.reference(feeds)


@pytest.fixture(scope="session")
def exported(families: Callable[[str, str], Any]) -> Callable[[str, str], Emitted]:
    """A family by an exporter, emitted once a session."""
    done: dict[tuple[str, str], Emitted] = {}

    def get(name: str, exporter: str) -> Emitted:
        if (name, exporter) not in done:
            model = families(name, exporter)
            out = model.onnx.with_name("torch")
            out.mkdir()
            emit_torch(ir.load(model.onnx), out)
            done[name, exporter] = Emitted(model, out)
        return done[name, exporter]

    return get
