"""The emitted file is whole by itself, wherever the weights of the original lie."""

from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import onnxruntime
import pytest

from qtnc.backends import onnx as backend
from qtnc.backends.onnx import emit_onnx
from qtnc.importers.onnx import read_model


@pytest.mark.parametrize("limit", [1 << 30, 0])
def test_weights_beside_the_original_are_carried_along(
    limit: int, toys: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "INLINE_LIMIT", limit)
    beside = tmp_path / "original"
    beside.mkdir()
    onnx.save(toys.mlp(), beside / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    out = tmp_path / "out"
    out.mkdir()
    emit_onnx(read_model(beside / "m.onnx"), out)
    assert {path.name for path in out.iterdir()} == ({"model.onnx"} | ({"model.onnx.data"} if limit == 0 else set()))
    x = np.random.default_rng(0).standard_normal((3, 16)).astype(np.float32)
    expected, found = (
        onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
        for path in (beside / "m.onnx", out / "model.onnx")
    )
    np.testing.assert_array_equal(found, expected)
