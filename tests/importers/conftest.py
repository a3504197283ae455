import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from qtnc.errors import ImportModelError
from qtnc.importers.onnx import read_model

EXPORT = Path(__file__).parents[1] / "models" / "export.py"


@pytest.fixture
def refused() -> Callable[[Path], str]:
    """The message of the error that a file is refused with."""

    def message(path: Path) -> str:
        with pytest.raises(ImportModelError) as caught:
            read_model(path)
        assert all(d.place == str(path) for d in caught.value.diagnostics)
        return str(caught.value)

    return message


class Half(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(16, 24, bias=False)
        self.down = nn.Linear(24, 16)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(torch.relu(self.up(x)))


class Whole(nn.Module):
    """A table, two equal blocks and a head: products with and without bias, on two axes and on three."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(11, 16)
        self.layers = nn.ModuleList([Half(), Half()])
        self.head = nn.Linear(16, 5)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.table(ids)
        for layer in self.layers:
            x = x + layer(x)
        return self.head(x[:, 0])


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """One model as an exporter writes it, once a session."""
    found = importlib.util.spec_from_file_location("models_export", EXPORT)
    assert found is not None
    assert found.loader is not None
    module: ModuleType = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    done: dict[str, Path] = {}

    def get(exporter: str) -> Path:
        if exporter not in done:
            path = tmp_path_factory.mktemp(exporter) / "model.onnx"
            axes = {"ids": {0: "batch", 1: "seq"}, "y": {0: "batch"}}
            torch.manual_seed(0)
            done[exporter] = module.export(
                Whole(), {"ids": torch.zeros(2, 3, dtype=torch.int64)}, axes, exporter, path, None, ["y"]
            )
        return done[exporter]

    return get
