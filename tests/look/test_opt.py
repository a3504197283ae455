"""A file may be replaced by what is made of it, weights beside it too."""

from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest

from qtnc.look.opt import read_ir, run_passes, write_ir


@pytest.mark.parametrize("ending", [".onnx", ".qir"])
def test_in_place(ending: str, toys: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qtnc.backends.onnx.INLINE_LIMIT", 0)
    onnx.save(toys.mlp(), tmp_path / "m.onnx", save_as_external_data=True, location="m.onnx.data", size_threshold=0)
    path = tmp_path / f"m{ending}"
    write_ir(read_ir(tmp_path / "m.onnx"), path)
    for _ in range(2):
        write_ir(run_passes(read_ir(path), "canonicalize"), path)
    beside = path.name + (".data" if ending == ".onnx" else ".safetensors")
    assert {p.name for p in tmp_path.iterdir()} == {"m.onnx", "m.onnx.data", path.name, beside}
    weights = {w.name: onnx.numpy_helper.to_array(w) for w in toys.mlp().graph.initializer}
    for value in read_ir(path).graph.initializers.values():
        assert value.const_value is not None
        np.testing.assert_array_equal(value.const_value.numpy(), weights[str(value.name)])
