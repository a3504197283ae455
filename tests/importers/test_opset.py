"""The opset is what the spec asks for, or it is said why it cannot be; names and numbers stay."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from qtnc.backends.onnx import emit_onnx
from qtnc.backends.onnx_options import OPSETS, OnnxOptions
from qtnc.backends.releases import RELEASES, minor, oldest_loading
from qtnc.compiler import prepare
from qtnc.errors import ImportModelError
from qtnc.importers.onnx import read_model
from qtnc.importers.opset import NEWEST_OPSET, OLDEST_OPSET, AskedOpset
from qtnc.ir.layers import find_layers

Families = Callable[[str, str], Any]

ROUNDING = 1e-5
"""Relative; the converter replaces operators by others, which round in another order. float32 left 5e-7 here."""

LOWEST = {"dynamo": 18, "legacy": 15}
"""The opset below which onnx's converter gives up on the decoder, for want of a form of Split and of Shape."""


def run(model: Path, feeds: dict[str, Any]) -> Any:
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, feeds)[0]


def emitted(path: Path, folder: Path, asked: AskedOpset, options: OnnxOptions | None = None) -> onnx.ModelProto:
    """What comes out where an opset is asked for, checked in full."""
    folder.mkdir()
    emit_onnx(read_model(path, asked), folder, options)
    found = onnx.load(folder / "model.onnx")
    onnx.checker.check_model(found, full_check=True)
    return found


def test_the_range_is_one() -> None:
    assert (OPSETS[0], OPSETS[-1]) == (OLDEST_OPSET, NEWEST_OPSET)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("own", [11, 18])
def test_a_toy_in_every_opset(own: int, opset: int, toys: ModuleType, tmp_path: Path) -> None:
    path = toys.write(toys.mlp(opset=own), tmp_path / "m.onnx")
    if opset == 13 < own:
        with pytest.raises(ImportModelError, match=f"has opset {own} and cannot be converted to 13: .* for Relu"):
            read_model(path, AskedOpset(opset))
        return
    found = emitted(path, tmp_path / "out", AskedOpset(opset))
    assert [(entry.domain, entry.version) for entry in found.opset_import] == [("", opset)]
    x = {"x": np.random.default_rng(0).standard_normal((3, 16)).astype(np.float32)}
    np.testing.assert_allclose(run(tmp_path / "out" / "model.onnx", x), run(path, x), rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("exporter", ["dynamo", "legacy"])
def test_a_transformer_in_every_opset(exporter: str, opset: int, families: Families, tmp_path: Path) -> None:
    model = families("llama", exporter)
    if opset < LOWEST[exporter]:
        with pytest.raises(ImportModelError, match=f"cannot be converted to {opset}: No Adapter From Version"):
            read_model(model.onnx, AskedOpset(opset))
        return
    found = emitted(model.onnx, tmp_path / "out", AskedOpset(opset))
    assert [entry.version for entry in found.opset_import if entry.domain == ""] == [opset]
    names = [[x.name for x in find_layers(prepare(read_model(model.onnx, a)))] for a in (None, AskedOpset(opset))]
    assert names[0] == names[1]
    feeds = model.feeds(2, 5)
    (expected,) = model.reference(feeds)
    np.testing.assert_allclose(run(tmp_path / "out" / "model.onnx", feeds), expected, rtol=1e-4, atol=ROUNDING)


def test_metadata_survives_the_conversion(toys: ModuleType, tmp_path: Path) -> None:
    proto = toys.mlp()
    proto.doc_string, proto.domain, proto.model_version = "A toy.", "toys.example", 7
    helper.set_model_props(proto, {"license": "MIT", "made at": "/home/me/models/toy.py"})
    entry = proto.graph.node[0].metadata_props.add()
    entry.key, entry.value = "pkg.torch.onnx.name_scopes", "['', 'block.0.up', 'linear']"
    path = toys.write(proto, tmp_path / "m.onnx")
    assert [x.name for x in find_layers(prepare(read_model(path, AskedOpset(21))))] == ["block.0.up", "down"]
    found = emitted(path, tmp_path / "out", AskedOpset(21))
    assert (found.doc_string, found.domain, found.model_version) == ("A toy.", "toys.example", 7)
    assert (found.producer_name, found.ir_version) == ("toys", 10)
    said = {entry.key: entry.value for entry in found.metadata_props}
    assert set(said) == {"license", "qtnc"}
    assert said["license"] == "MIT"


def test_a_function_is_put_in_place_before(tmp_path: Path, toys: ModuleType) -> None:
    imports = [helper.make_opsetid("", 18)]
    double = helper.make_function("own", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], imports)
    nodes = [helper.make_node("Twice", ["x"], ["y"], domain="own")]
    proto = toys.model(nodes, [toys.value("x", [2])], [toys.value("y", [2])])
    proto.opset_import.append(helper.make_opsetid("own", 1))
    proto.functions.append(double)
    path = toys.write(proto, tmp_path / "m.onnx")
    found = emitted(path, tmp_path / "out", AskedOpset(21))
    assert [node.op_type for node in found.graph.node] == ["Add"]


def test_weights_beside_the_model_stay_there(toys: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(toys.mlp(), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    emitted(path, tmp_path / "out", AskedOpset(21))
    x = {"x": np.random.default_rng(0).standard_normal((3, 16)).astype(np.float32)}
    np.testing.assert_array_equal(run(tmp_path / "out" / "model.onnx", x), run(path, x))


@pytest.mark.parametrize(("release", "opset"), [("1.15", 18), ("1.13", 17), ("1.8", 14)])
def test_a_release_lowers_the_opset_only_where_it_must(
    release: str, opset: int, toys: ModuleType, tmp_path: Path
) -> None:
    path = toys.write(toys.mlp(), tmp_path / "m.onnx")
    most = RELEASES[release]
    found = emitted(path, tmp_path / "out", AskedOpset(most.opset, at_most=True), OnnxOptions(min_ort=release))
    assert found.opset_import[0].version == opset
    assert found.ir_version <= most.ir_version


def test_the_table_is_true_of_the_release_that_is_installed(toys: ModuleType) -> None:
    def loads(opset: int, ir_version: int) -> bool:
        proto = toys.mlp(opset=opset)
        proto.ir_version = ir_version
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 4
        try:
            onnxruntime.InferenceSession(proto.SerializeToString(), settings, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors share no base class
            refused = "opset" in str(error) or "IR version" in str(error)
            return not refused
        return True

    release = RELEASES[minor(onnxruntime.__version__)]
    assert loads(release.opset, release.ir_version)
    assert not loads(release.opset + 1, release.ir_version)
    assert not loads(release.opset, release.ir_version + 1)


def test_newer_releases_load_no_less() -> None:
    found = list(RELEASES.values())
    assert sorted(found, key=lambda r: (r.opset, r.ir_version)) == found
    assert [oldest_loading(opset) for opset in (13, 17, 21, 25)] == ["1.7", "1.12", "1.18", "1.24"]


@pytest.mark.parametrize(
    ("option", "way_out"),
    [
        ("opset: 13", "export the model to opset 13, or ask for 18"),
        ('min_ort: "1.7"', "export the model to opset 13 or older, or ask for a newer onnxruntime"),
    ],
)
@pytest.mark.parametrize("command", ["plan", "compile"])
def test_what_cannot_be_is_told_where_it_is_asked(
    command: str, option: str, way_out: str, place: Any, qtnc: Callable[..., Any]
) -> None:
    place.spec.write_text(f"qtn 1\nemit torch\nemit onnx({option})\n")
    done = qtnc(command, place.model, place.spec, *(["-o", place.out] if command == "compile" else []))
    reason = "the model has opset 18 and cannot be converted to 13: No Adapter From Version 14 for Relu"
    caret = f"  3 | emit onnx({option})\n    |           {'^' * len(option)}\n"
    assert done.err == f"{place.spec}:3:11: error: {reason}\n{caret}  = help: {way_out}\n"
    assert (done.code, done.out, place.out.exists()) == (1, "", False)


def test_an_emitted_opset_holds_for_the_whole_compile(place: Any, qtnc: Callable[..., Any]) -> None:
    place.spec.write_text(place.spec.read_text().replace("emit onnx", "emit onnx(opset: 21)"))
    assert qtnc("compile", place.model, place.spec, "-o", place.out, "--verify-each").code == 0
    assert onnx.load(place.out / "onnx" / "model.onnx").opset_import[0].version == 21
    assert qtnc("verify", place.out).code == 0
