"""The whole model beside the original: the same files on the same batch, and nothing where nothing can be compared."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from qtnc.compiler import compile_model
from qtnc.errors import BackendError
from qtnc.importers.onnx import read_model
from qtnc.output.manifest import read_manifest
from qtnc.planner.stopwatch import Comparison
from qtnc.verify import speed
from qtnc.verify.check import feeds_of
from qtnc.verify.speed import Speed, measure_speed

SPEC = """qtn 1
bind batch = 4
optimize memory
select up = MatMul where name ~ "up"
rewrite up -> lowrank(rank: 3)
emit torch
emit onnx
"""

Call = Callable[[], Mapping[str, np.ndarray]]


@pytest.fixture
def folder(tmp_path: Path, toys: ModuleType) -> Path:
    (tmp_path / "spec.qtn").write_text(SPEC)
    model = toys.write(toys.mlp(), tmp_path / "model.onnx")
    return compile_model(model, tmp_path / "spec.qtn", tmp_path / "out").out


def measured(folder: Path, backends: tuple[str, ...] = ("torch", "onnx")) -> tuple[Speed, ...]:
    manifest, original = read_manifest(folder), folder.with_name("model.onnx")
    model = read_model(original)
    inputs = feeds_of(manifest.checks, folder, model, manifest.binds)
    return measure_speed(folder, backends, model, original, inputs)


def test_original_and_ours_are_what_is_compared(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[np.ndarray, np.ndarray]] = []

    def compared(original: Call, ours: Call, budget: float, fewest: int) -> Comparison:
        ((_, truth),), ((_, found),) = original().items(), ours().items()
        seen.append((truth, found))
        return Comparison(0.002, 0.003, 0.1)

    monkeypatch.setattr(speed, "alternate", compared)
    found = measured(folder)
    shapes = {"x": (4, 16)}
    assert found == (
        Speed("onnxruntime", "seeded", shapes, 2.0, 3.0, 0.1),
        Speed("torch", "seeded", shapes, 2.0, 3.0, 0.1),
    )
    assert [each.ratio for each in found] == [1.5, 1.5]
    (by_onnx, ours_by_onnx), (by_torch, ours_by_torch) = seen
    # Some sums of at most 24 float32 products: the two runtimes agree to 1e-5, and rank 3 of 16 does not.
    np.testing.assert_allclose(by_torch, by_onnx, atol=1e-5 * np.abs(by_onnx).max())
    np.testing.assert_allclose(ours_by_torch, ours_by_onnx, atol=1e-5 * np.abs(by_onnx).max())
    assert np.abs(ours_by_onnx - by_onnx).max() > 1e-2 * np.abs(by_onnx).max()


def test_only_what_is_emitted_is_timed(folder: Path) -> None:
    assert [each.runtime for each in measured(folder, ("onnx",))] == ["onnxruntime"]
    assert [each.runtime for each in measured(folder, ("torch", "qiskit"))] == ["torch"]
    assert measured(folder, ()) == ()


def test_an_original_that_torch_cannot_express_is_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: Any) -> None:
        raise BackendError("no torch form")

    monkeypatch.setattr(speed, "compose", refuse)
    assert [each.runtime for each in measured(folder)] == ["onnxruntime"]


def test_an_original_that_is_too_large_is_not_written_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "LARGEST", 4 * (16 * 24 + 24 * 8) - 1)
    assert [each.runtime for each in measured(folder)] == ["onnxruntime"]


def test_without_inputs_nothing_is_timed(folder: Path) -> None:
    model = read_model(folder.with_name("model.onnx"))
    assert measure_speed(folder, ("onnx",), model, folder.with_name("model.onnx"), ()) == ()


def test_times_stand_in_the_reports_and_in_no_hash(folder: Path) -> None:
    report = json.loads((folder / "report.json").read_text())
    assert [each["runtime"] for each in report["speed"]] == ["onnxruntime", "torch"]
    assert all(each["original_ms"] > 0.0 and each["ours_ms"] > 0.0 for each in report["speed"])
    (times,) = report["times"]
    assert (times["shape"], times["becomes"], times["layers"]) == ([16, 24], "lowrank 3", 1)
    assert "How fast is the whole model?" in (folder / "report.html").read_text()
    assert not any(name.startswith(("report", "plan")) for name in read_manifest(folder).files)
