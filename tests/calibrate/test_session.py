"""Sessions of models in memory, wherever their weights lie."""

from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest

from qtnc.calibrate.session import session_at, session_of
from qtnc.importers.onnx import read_model


def test_weights_beside_the_model(toys: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(toys.mlp(), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")  # onnxruntime looks beside the working directory
    x = np.random.default_rng(0).standard_normal((3, 16)).astype(np.float32)
    found, expected = (made.run(None, {"x": x})[0] for made in (session_of(read_model(path)), session_at(path)))
    np.testing.assert_array_equal(found, expected)
