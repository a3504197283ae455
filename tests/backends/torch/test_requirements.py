"""The bounds name what is there, and follow from the code alone."""

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from packaging.requirements import Requirement
from packaging.version import Version

from qtnc.backends.torch.emit import emit_torch
from qtnc.backends.torch.requirements import SAFETENSORS, TORCH, requirements
from qtnc.importers.onnx import read_model


@pytest.mark.parametrize("word", [*TORCH, *SAFETENSORS])
def test_what_is_bounded_is_there(word: str) -> None:
    if word.startswith("torch."):
        assert any(name.startswith(word.removeprefix("torch.")) for name in dir(torch))
    elif word.startswith("F."):
        assert hasattr(torch.nn.functional, word.removeprefix("F."))
    elif word == "enable_gqa":
        assert word in (torch.nn.functional.scaled_dot_product_attention.__doc__ or "")
    else:
        assert word in ("assign=True", "load_file")


@pytest.mark.parametrize(
    ("code", "bounds"),
    [
        ("load_file(path), assign=True", ("2.1", "0.3")),
        ("load_file(path), assign=True, F.rms_norm(x, dtype=torch.float16)", ("2.4", "0.3")),
        ("load_file(path), assign=True, dtype=torch.float8_e5m2", ("2.1", "0.4.3")),
    ],
)
def test_the_newest_bound_counts(code: str, bounds: tuple[str, str]) -> None:
    assert requirements(code) == f"torch>={bounds[0]}\nsafetensors>={bounds[1]}\n"


def test_the_file_is_what_pip_reads(toys: ModuleType, tmp_path: Path) -> None:
    emit_torch(read_model(toys.write(toys.mlp(), tmp_path / "m.onnx")), tmp_path)
    lines = (tmp_path / "requirements.txt").read_text().splitlines()
    found: dict[str, Any] = {(r := Requirement(line)).name: r.specifier for line in lines}
    imported = set(re.findall(r"^(?:import|from) (\w+)", (tmp_path / "model.py").read_text(), re.MULTILINE))
    assert set(found) == imported - {"pathlib", "typing", "collections"}
    assert Version(torch.__version__.partition("+")[0]) in found["torch"]
