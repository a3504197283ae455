"""What a model says of itself is kept in every form, its licence too, and paths of somebody's machine in none."""

import json
from pathlib import Path
from types import ModuleType

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper
from safetensors import safe_open

from qtnc import __version__
from qtnc.backends.metadata import MOST
from qtnc.backends.onnx import emit_onnx
from qtnc.backends.torch.emit import emit_torch
from qtnc.importers.onnx import read_model
from qtnc.importers.traces import holds_path

HOSTILE = "\x1b[31m\"'\\\n\u202e"


def said(toys: ModuleType) -> onnx.ModelProto:
    proto: onnx.ModelProto = toys.mlp()
    proto.doc_string, proto.domain, proto.model_version, proto.producer_version = "A toy.", "toys.example", 7, "3"
    props = {
        "license": "MIT",
        "source": "https://models.example/a/b",
        "made": "/home/me/toy/train.py",
        HOSTILE: HOSTILE,
    }
    helper.set_model_props(proto, props)
    proto.graph.doc_string = "exported from C:\\Users\\me\\toy.py"
    proto.graph.node[0].doc_string = "/home/me/toy/model.py(12): forward"
    proto.graph.node[1].doc_string = "the only nonlinearity"
    entry = proto.graph.node[2].metadata_props.add()
    entry.key, entry.value = "pkg.torch.onnx.stack_trace", "File model.py, line 3"
    return proto


def test_what_a_model_says_is_kept(toys: ModuleType, tmp_path: Path) -> None:
    path = toys.write(said(toys), tmp_path / "m.onnx")
    out = tmp_path / "out"
    out.mkdir()
    emit_torch(read_model(path), out)
    emit_onnx(read_model(path), out)
    kept = {"license": "MIT", "source": "https://models.example/a/b", HOSTILE: HOSTILE}
    kept["qtnc"] = f"compiled by qtnc {__version__}"
    found = onnx.load(out / "model.onnx")
    assert {entry.key: entry.value for entry in found.metadata_props} == kept
    fields = {"doc_string": "A toy.", "domain": "toys.example", "producer_name": "toys", "producer_version": "3"}
    assert {name: getattr(found, name) for name in fields} == fields
    assert found.model_version == 7
    with safe_open(out / "model.safetensors", "pt") as weights:
        assert weights.metadata() == kept | fields | {"model_version": "7"}
    assert [node.doc_string for node in found.graph.node] == ["", "the only nonlinearity", ""]
    whole = (out / "model.onnx").read_bytes() + (out / "model.safetensors").read_bytes()
    assert b"/home/me" not in whole
    assert b"Users" not in whole
    assert b"line 3" not in whole


def test_the_same_model_gives_the_same_bytes(toys: ModuleType, tmp_path: Path) -> None:
    path = toys.write(said(toys), tmp_path / "m.onnx")
    found = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        emit_onnx(read_model(path), tmp_path / name)
        emit_torch(read_model(path), tmp_path / name)
        found.append({file.name: file.read_bytes() for file in (tmp_path / name).iterdir()})
    assert found[0] == found[1]


@pytest.mark.parametrize("place", ["license", "MIT____", "doc____", "node____", "made____", "1.0____"])
def test_what_is_no_text_becomes_text(place: str, toys: ModuleType, tmp_path: Path) -> None:
    proto = toys.mlp()
    proto.doc_string, proto.producer_name, proto.producer_version = "doc____", "made____", "1.0____"
    proto.graph.node[0].doc_string = "node____"
    helper.set_model_props(proto, {"license": "MIT____"})
    damaged = place[:3].encode() + b"\xff\xed\xa0\x80"[: len(place) - 3].ljust(len(place) - 3, b"_")
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString().replace(place.encode(), damaged))
    emit_torch(read_model(tmp_path / "m.onnx"), tmp_path)
    emit_onnx(read_model(tmp_path / "m.onnx"), tmp_path)
    kept = damaged.decode("utf-8", "replace")
    with safe_open(tmp_path / "model.safetensors", "pt") as weights:
        assert place == "node____" or kept in {*weights.metadata(), *weights.metadata().values()}
    assert kept.encode() in (tmp_path / "model.onnx").read_bytes()


def test_metadata_too_long_for_a_header_stays_in_the_onnx_file(toys: ModuleType, tmp_path: Path) -> None:
    proto = toys.mlp()
    proto.doc_string = "\x01" * MOST
    helper.set_model_props(proto, {"license": "MIT"})
    path = toys.write(proto, tmp_path / "m.onnx")
    emit_torch(read_model(path), tmp_path)
    emit_onnx(read_model(path), tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as weights:
        assert set(weights.metadata()) == {"license", "producer_name", "qtnc"}
    assert len(onnx.load(tmp_path / "model.onnx").doc_string) == MOST


PATHS = [
    "/home/me/m.py(12): forward",
    'File "/srv/x/y.py"',
    "path:/home/me/x",
    "C:\\Users\\me",
    "C:/Users/me/x",
    "file:///x",
    "~/models/a.pt",
    "=/opt/a/b",
]
OTHERS = [
    "https://models.example/a/b",
    "apache-2.0",
    "application/json",
    "1/2/3",
    "and/or/not",
    "a / b / c",
    "layers.0: x.Block/layers.1",
]


@pytest.mark.parametrize("text", PATHS)
def test_a_path_is_found(text: str) -> None:
    assert holds_path(text)
    assert holds_path(f"said in {text} and so on")


@pytest.mark.parametrize("text", OTHERS)
def test_what_is_no_path_is_let_be(text: str) -> None:
    assert not holds_path(text)


@given(st.lists(st.from_regex(r"[a-z][a-z0-9_.-]{0,8}", fullmatch=True), min_size=2, max_size=5))
def test_any_path_is_found(parts: list[str]) -> None:
    assert holds_path("/" + "/".join(parts))
    assert holds_path(json.dumps({"at": "/" + "/".join(parts)}))
