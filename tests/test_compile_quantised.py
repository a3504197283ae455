"""Models that onnxruntime's own quantiser made: what nothing rewrites stays as it is, and counts as what it is."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

Load = Callable[[Path], torch.nn.Module]


class Samples(CalibrationDataReader):  # type: ignore[misc]
    """Four batches of x (4, 16)."""

    def __init__(self) -> None:
        self._left = 4

    def get_next(self) -> dict[str, Any] | None:
        if not self._left:
            return None
        self._left -= 1
        return {"x": np.random.default_rng(self._left).standard_normal((4, 16)).astype(np.float32)}


@pytest.fixture(params=["tensor", "channel"])
def model(request: pytest.FixtureRequest, toys: ModuleType, tmp_path: Path) -> Path:
    """x (batch, 16) through products 16x24 and 24x8 of int8, with scales for each and around what is between."""
    toys.write(toys.mlp(), tmp_path / "mlp.onnx")
    path = tmp_path / "quantised.onnx"
    channel = request.param == "channel"
    quantize_static(
        tmp_path / "mlp.onnx", path, Samples(), QuantFormat.QDQ, per_channel=channel, weight_type=QuantType.QInt8
    )
    return path


def integers(path: Path) -> dict[str, bytes]:
    """Weights of int8 in a file, by their names."""
    stored = onnx.load(path).graph.initializer
    return {one.name: numpy_helper.to_array(one).tobytes() for one in stored if len(one.dims) == 2}


def test_weights_stay_quantised(model: Path, compiled: ModuleType, load_emitted: Load, tmp_path: Path) -> None:
    done = compiled.build(model, tmp_path / "out", "select all = MatMul")
    by_onnx, by_torch = compiled.stored(done.out)
    assert integers(done.out / "onnx" / "model.onnx") == integers(model)
    assert len(integers(model)) == 2
    assert compiled.content(by_torch) == compiled.content(by_onnx)
    floats = sum(array.size for array in by_onnx.values() if array.dtype.kind == "f")
    assert (done.plan.model_parameters, done.plan.parameters) == (16 * 24 + 24 * 8 + floats,) * 2
    assert done.plan.bytes == done.plan.model_bytes
    x = {"x": np.random.default_rng(9).standard_normal((5, 16)).astype(np.float32)}
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    expected = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"]).run(None, x)
    compiled.check_same(expected, done.out, x, load_emitted)


def test_layers_have_the_names_that_they_had(model: Path, compiled: ModuleType, tmp_path: Path) -> None:
    done = compiled.build(model, tmp_path / "out", *compiled.every("lowrank(rank: 2)"))
    assert [(entry.layer, entry.structure) for entry in done.plan.layers] == [("up", "lowrank"), ("down", "lowrank")]
    assert not integers(done.out / "onnx" / "model.onnx").keys() & integers(model).keys()
