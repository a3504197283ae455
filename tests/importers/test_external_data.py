"""Weights beside the model are read; weights anywhere else, or not all there, are refused by name."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.external_data_helper import set_external_data

from qtnc.importers.onnx import read_model
from qtnc.importers.tensors import external_files
from qtnc.ir.layers import find_layers

BYTES = 16 * 24 * 4


def outside(model: onnx.ModelProto, location: str, offset: int | None = None, length: int | None = None) -> bytes:
    """Move the first weight to ``location`` and return its bytes."""
    tensor = model.graph.initializer[0]
    data = tensor.raw_data
    set_external_data(tensor, location, offset, length)
    tensor.ClearField("raw_data")
    return data


@pytest.mark.parametrize("location", ["w.bin", "sub/folder/w.bin", "./w.bin", "w b\u00fc.bin"])
def test_beside_the_model(location: str, tmp_path: Path, toys: ModuleType) -> None:
    model = toys.mlp()
    expected = numpy_helper.to_array(model.graph.initializer[0])
    data = outside(model, location, 4096, BYTES)
    (tmp_path / location).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / location).write_bytes(bytes(4096) + data)
    path = toys.write(model, tmp_path / "model.onnx")
    up = find_layers(read_model(path))[0]
    np.testing.assert_array_equal(up.matrix(), expected)
    assert [file.resolve() for file in external_files(path)] == [(tmp_path / location).resolve()]


def hostile(tmp_path: Path, kind: str) -> tuple[str, int | None, int | None]:
    """Location, offset and length of a kind, its files made."""
    secret = tmp_path.parent / f"{tmp_path.name}-secret.bin"
    secret.write_bytes(bytes(BYTES))
    (tmp_path / "w.bin").write_bytes(bytes(BYTES))
    (tmp_path / "folder").mkdir()
    match kind:
        case "above":
            return f"../{secret.name}", None, None
        case "hidden above":
            return f"folder/../../{secret.name}", None, None
        case "absolute":
            return str(secret), None, None
        case "drive":
            return "C:\\w.bin", None, None
        case "link out":
            (tmp_path / "link.bin").symlink_to(secret)
            return "link.bin", None, None
        case "folder link out":
            (tmp_path / "link").symlink_to(tmp_path.parent)
            return f"link/{secret.name}", None, None
        case "link to itself":
            (tmp_path / "loop").symlink_to("loop")
            return "loop", None, None
        case "missing":
            return "absent.bin", None, None
        case "a folder":
            return "folder", None, None
        case "nul":
            return "w\0.bin", None, None
        case "nothing":
            return "", None, None
        case "too long":
            return "x" * 5000, None, None
        case "too short":
            return "w.bin", 4, None
        case "wrong length":
            return "w.bin", 0, BYTES - 4
        case "negative offset":
            return "w.bin", -4, None
        case _:
            return "w.bin", 10**30, None


KINDS = [
    "above",
    "hidden above",
    "absolute",
    "drive",
    "link out",
    "folder link out",
    "link to itself",
    "missing",
    "a folder",
    "nul",
    "nothing",
    "too long",
    "too short",
    "wrong length",
    "negative offset",
    "huge offset",
]


@pytest.mark.parametrize("kind", KINDS)
def test_anything_else_is_refused(
    kind: str, tmp_path: Path, toys: ModuleType, refused: Callable[[Path], str], qtnc: Callable[..., Any]
) -> None:
    model = toys.mlp()
    outside(model, *hostile(tmp_path, kind))
    path = toys.write(model, tmp_path / "model.onnx")
    message = refused(path)
    assert message.startswith(f"{path}: error: tensor 'up.weight': ")
    assert message.isprintable()
    assert len(message) < 400 + len(str(path))
    done = qtnc("inspect", path)
    assert (done.code, done.out, done.err) == (1, "", message + "\n")


def test_numbers_that_are_none(tmp_path: Path, toys: ModuleType, refused: Callable[[Path], str]) -> None:
    model = toys.mlp()
    (tmp_path / "w.bin").write_bytes(outside(model, "w.bin", 0))
    for entry in model.graph.initializer[0].external_data:
        entry.value = entry.value if entry.key == "location" else "many"
    assert "'w.bin' has no readable offset or length" in refused(toys.write(model, tmp_path / "model.onnx"))


def test_every_tensor_is_named(tmp_path: Path, toys: ModuleType, refused: Callable[[Path], str]) -> None:
    model = toys.mlp()
    for tensor in model.graph.initializer:
        set_external_data(tensor, "absent.bin")
        tensor.ClearField("raw_data")
    message = refused(toys.write(model, tmp_path / "model.onnx"))
    assert [name in message for name in ("up.weight", "down.weight")] == [True, True]


def test_tensors_in_attributes_subgraphs_and_functions(
    tmp_path: Path, toys: ModuleType, refused: Callable[[Path], str]
) -> None:
    tensor = toys.weight("hidden", 16, 16)
    set_external_data(tensor, "../out.bin")
    tensor.ClearField("raw_data")
    path = tmp_path / "model.onnx"

    constant = toys.mlp()
    constant.graph.node.insert(0, helper.make_node("Constant", [], ["k"], value=tensor))
    assert "'hidden'" in refused(toys.write(constant, path))

    branching = toys.branching()
    branching.graph.node[1].attribute[0].g.initializer[0].CopyFrom(tensor)
    assert "'hidden'" in refused(toys.write(branching, path))

    function = toys.mlp()
    node = helper.make_node("Constant", [], ["k"], value=tensor)
    function.functions.append(helper.make_function("mine", "F", [], ["k"], [node], function.opset_import))
    assert "'hidden'" in refused(toys.write(function, path))

    sparse = toys.mlp()
    sparse.graph.sparse_initializer.add().values.CopyFrom(tensor)
    assert "'hidden'" in refused(toys.write(sparse, path))


def test_constants_beside_the_model_are_read_from_there(
    tmp_path: Path, toys: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensor = toys.weight("k", 24)
    expected = numpy_helper.to_array(tensor)
    (tmp_path / "k.bin").write_bytes(tensor.raw_data)
    set_external_data(tensor, "k.bin")
    tensor.ClearField("raw_data")
    model = toys.mlp()
    model.graph.node.insert(0, helper.make_node("Constant", [], ["k"], value=tensor))
    path = toys.write(model, tmp_path / "model.onnx")
    monkeypatch.chdir("/")
    read = read_model(path)
    np.testing.assert_array_equal(read.graph[0].attributes["value"].as_tensor().numpy(), expected)
