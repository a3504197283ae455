"""Folders read back as they were written, and damage named."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from qtnc.errors import OutputError
from qtnc.run.layers import read_layers

HOSTILE = ["../up", "/etc/passwd", "a/b", "..", ".", "", "up\0", "up.safetensors", "x" * 300]


def test_what_was_written_is_read(make_layer, emit):
    layers = make_layer("mlp.up"), make_layer("mlp/down", (20, 5), seed=7)
    for written, found in zip(layers, read_layers(emit(*layers)), strict=True):
        assert (found.name, found.features) == (written.name, written.features)
        assert (found.input, found.output, found.inner) == (written.input, written.output, written.inner)
        arrays = zip((found.input_angles, found.output_angles, *found.cores),
                     (written.input_angles, written.output_angles, *written.cores), strict=True)  # fmt: skip
        assert all(np.array_equal(a, b) for a, b in arrays)


def test_a_stem_without_suffix_is_read_too(make_layer, emit, edit):
    out = emit(make_layer())
    edit(out, lambda content: content["layers"][0].update(file="up"))
    assert read_layers(out)[0].name == "up"


def refused(out, *words):
    with pytest.raises(OutputError) as caught:
        read_layers(out)
    said = caught.value.diagnostics[0].render()
    assert all(word in said for word in words), said


def test_a_folder_without_circuits(tmp_path):
    refused(tmp_path, "holds no circuits", "emit qiskit")


def test_no_layer(make_layer, emit, edit):
    out = emit(make_layer())
    edit(out, lambda content: content.update(layers=[]))
    refused(out, "no layer became a circuit")


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"format": 1}', "[" * 100_000, '{"format": 2, "layers": []}'])
def test_resources_that_are_not_json_of_ours(make_layer, emit, text):
    out = emit(make_layer())
    (out / "qiskit" / "resources.json").write_text(text)
    refused(out, "resources.json", "damaged", "compile again")


def test_resources_that_are_not_text(make_layer, emit):
    out = emit(make_layer())
    (out / "qiskit" / "resources.json").write_bytes(b"\xff\xfe\0")
    refused(out, "resources.json", "damaged")


@pytest.mark.parametrize("stem", HOSTILE)
def test_a_stem_never_leads_out(make_layer, emit, edit, tmp_path, stem):
    out = emit(make_layer())
    save_file(load_file(out / "qiskit" / "up.safetensors"), out / "up.safetensors")
    edit(out, lambda content: content["layers"][0].update(file=stem))
    refused(out, "resources.json" if len(stem) < 300 else "qiskit")


def test_a_link_never_leads_out(make_layer, emit, tmp_path):
    out = emit(make_layer())
    inside = out / "qiskit" / "up.safetensors"
    inside.rename(tmp_path / "elsewhere.safetensors")
    inside.symlink_to(tmp_path / "elsewhere.safetensors")
    refused(out, "not the name of a file in the folder")


DAMAGE = {
    "layer": lambda layer: layer.update(layer=3),
    "features": lambda layer: layer.update(features=[9, 11]),
    "no features": lambda layer: layer.update(features=[0, 11]),
    "three features": lambda layer: layer.update(features=[6, 11, 1]),
    "qubits": lambda layer: layer["input"].update(qubits=4),
    "many qubits": lambda layer: layer["input"].update(qubits=10**12),
    "negative qubits": lambda layer: layer["input"].update(qubits=-1),
    "yes qubits": lambda layer: layer["input"].update(qubits=True),
    "pairs": lambda layer: layer["output"].update(pairs=[[0, 0]]),
    "far pairs": lambda layer: layer["output"]["pairs"].append([0, 9]),
    "no pairs": lambda layer: layer["output"].pop("pairs"),
    "fewer pairs": lambda layer: layer["output"]["pairs"].pop(),
    "equation": lambda layer: layer["inner"].update(equation="m -> n"),
    "no equation": lambda layer: layer["inner"].update(equation="nothing"),
    "twice": lambda layer: layer["inner"].update(equation="m, m r, r n -> n n"),
    "sizes": lambda layer: layer["inner"].update(mode_sizes=[8, 3]),
    "other sizes": lambda layer: layer["inner"].update(mode_sizes=[8, 4, 16]),
    "float sizes": lambda layer: layer["inner"].update(mode_sizes=[8.0, 3, 16]),
    "inner features": lambda layer: layer["inner"].update(features=[8, 8]),
    "missing": lambda layer: layer.pop("inner"),
    "no layer": lambda layer: layer.clear(),
}


@pytest.mark.parametrize("how", DAMAGE.values(), ids=DAMAGE)
def test_damaged_layers(make_layer, emit, edit, how):
    out = emit(make_layer())
    edit(out, lambda content: how(content["layers"][0]))
    refused(out, "damaged", "compile again")


def test_one_name_twice(make_layer, emit, edit):
    out = emit(make_layer())
    edit(out, lambda content: content["layers"].append(content["layers"][0]))
    refused(out, "two layers have one name")


ARRAYS = {
    "dtype": lambda arrays: arrays.update(core_0=arrays["core_0"].astype(np.float32)),
    "shape": lambda arrays: arrays.update(input_angles=arrays["input_angles"][:1]),
    "missing": lambda arrays: arrays.pop("core_1"),
    "nan": lambda arrays: arrays.update(output_angles=arrays["output_angles"] * np.nan),
}


@pytest.mark.parametrize("how", ARRAYS.values(), ids=ARRAYS)
def test_damaged_arrays(make_layer, emit, how):
    out = emit(make_layer())
    path = out / "qiskit" / "up.safetensors"
    arrays = load_file(path)
    how(arrays)
    save_file(arrays, path)
    refused(out, "up.safetensors", "damaged", "compile again")


@pytest.mark.parametrize("content", [b"", b"\0" * 8, b"\xff" * 40, b'\x10\0\0\0\0\0\0\0{"a": 1}        '])
def test_a_file_that_is_not_safetensors(make_layer, emit, content):
    out = emit(make_layer())
    (out / "qiskit" / "up.safetensors").write_bytes(content)
    refused(out, "up.safetensors", "damaged")


def test_a_truncated_file_and_a_missing_one(make_layer, emit):
    out = emit(make_layer())
    path = out / "qiskit" / "up.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    refused(out, "up.safetensors", "damaged")
    path.unlink()
    refused(out, "up.safetensors", "missing")


def test_names_cannot_break_a_message(make_layer, emit, edit):
    out = emit(make_layer())
    edit(out, lambda content: content["layers"][0].update(file="\x1b[31m\n"))
    with pytest.raises(OutputError) as caught:
        read_layers(out)
    assert json.dumps("\x1b")[1:-1] not in str(caught.value)
    assert "\x1b" not in str(caught.value)
