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


def test_weights_of_branches_beside_the_model(toys: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(toys.branching(), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    for truth in (True, False):
        feed = {"x": np.random.default_rng(0).standard_normal((3, 16)).astype(np.float32), "c": np.array(truth)}
        found, expected = (made.run(None, feed)[0] for made in (session_of(read_model(path)), session_at(path)))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_weights_of_two_folders(toys: ModuleType, tmp_path: Path) -> None:
    """As after weights were moved between models: they are read, for onnxruntime looks in one folder."""
    models = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        onnx.save(
            toys.mlp(), tmp_path / name / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0
        )
        models.append(read_model(tmp_path / name / "m.onnx"))
    models[0].graph.initializers["up.weight"].const_value = models[1].graph.initializers["up.weight"].const_value
    x = np.random.default_rng(0).standard_normal((3, 16)).astype(np.float32)
    expected = session_at(tmp_path / "one" / "m.onnx").run(None, {"x": x})[0]
    np.testing.assert_array_equal(session_of(models[0]).run(None, {"x": x})[0], expected)
