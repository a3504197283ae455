"""Rows of a file by the layer's name, by ``x``, or through the original model; whatever is wrong is named."""

import numpy as np
import onnx
import onnx_ir
import onnxruntime
import pytest
from onnx.shape_inference import infer_shapes

from qtnc.compiler import prepare
from qtnc.errors import DataError
from qtnc.importers.onnx import read_model
from qtnc.run.inputs import read_rows

RNG = np.random.default_rng(0)


@pytest.fixture
def up(make_layer):
    return make_layer("up", (16, 24))


@pytest.fixture
def down(make_layer):
    return make_layer("down", (24, 8))


@pytest.fixture
def mlp(toys, tmp_path):
    return prepare(read_model(toys.write(toys.mlp(), tmp_path / "mlp.onnx")))


def refused(path, layers, *words, model=None, take=8):
    with pytest.raises(DataError) as caught:
        read_rows(path, layers, model, take)
    said = caught.value.diagnostics[0].render()
    assert all(word in said for word in words), said


def test_x_is_for_the_one_layer(up, npz):
    x = RNG.standard_normal((20, 16))
    found = read_rows(npz(x=x), [up], None, 8)
    assert np.array_equal(found["up"].x, x[:8])
    assert found["up"].source == "array `x`"


def test_fewer_rows_than_asked_and_whole_numbers(up, npz):
    assert read_rows(npz(x=np.ones((3, 16), np.int8)), [up], None, 8)["up"].x.tolist() == np.ones((3, 16)).tolist()


def test_arrays_by_the_names_of_layers(up, down, npz):
    arrays = {"up": RNG.standard_normal((4, 16)), "down": RNG.standard_normal((9, 24)), "x": np.zeros((1, 16))}
    found = read_rows(npz(**arrays), [up, down], None, 8)
    assert np.array_equal(found["up"].x, arrays["up"])
    assert np.array_equal(found["down"].x, arrays["down"][:8])


def test_graph_inputs_go_through_the_model(up, down, mlp, npz, tmp_path):
    x = RNG.standard_normal((12, 16)).astype(np.float32)
    found = read_rows(npz(x=x), [up, down], mlp, 5)
    assert np.array_equal(found["up"].x, x[:5].astype(np.float64))
    weight = next(v.const_value.numpy() for v in mlp.graph.initializers.values() if v.name == "up.weight")
    assert np.allclose(found["down"].x, np.maximum(0.0, x[:5] @ weight), atol=1e-5)
    assert found["down"].source == "graph inputs, through the original model"


def test_rows_of_a_sequence_are_rows(make_layer, toys, tmp_path, npz):
    proto = toys.reader()
    model = prepare(read_model(toys.write(proto, tmp_path / "reader.onnx")))
    ids = RNG.integers(0, 11, (2, 3))
    head = make_layer("head", (8, 12))
    found = read_rows(npz(ids=ids), [head], model, 4)["head"].x
    table = next(w for w in proto.graph.initializer if w.name == "table.weight")
    rows = np.frombuffer(table.raw_data, np.float32).reshape(11, 8)[ids].reshape(-1, 8)
    assert np.array_equal(found, rows[:4].astype(np.float64))


def test_only_samples_that_are_needed_run(up, mlp, npz, monkeypatch):
    ran = []
    run = onnxruntime.InferenceSession.run
    monkeypatch.setattr(onnxruntime.InferenceSession, "run", lambda *a: ran.append(1) or run(*a))
    read_rows(npz(x=np.ones((12, 16), np.float32)), [up], mlp, 3)
    assert len(ran) == 3


def test_a_missing_file(up, tmp_path):
    refused(tmp_path / "no.npz", [up], "no such file", "numpy.savez")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no", b"\x93NUMPY"])
def test_a_damaged_file(up, tmp_path, content):
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    refused(path, [up], "not an .npz file")


def test_objects_are_not_unpickled(up, npz):
    refused(npz(x=np.array([{}, {}], dtype=object)), [up], "not an .npz file")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.ones((3, 15)), ("(3, 15)", "takes (rows, 16)")),
        (np.ones(16), ("(16,)", "takes (rows, 16)")),
        (np.ones((1, 2, 16)), ("(1, 2, 16)",)),
        (np.ones((0, 16)), ("no rows",)),
        (np.full((2, 16), np.nan), ("NaN or infinity",)),
        (np.full((2, 16), np.inf), ("NaN or infinity",)),
        (np.ones((2, 16), complex), ("complex128", "real numbers")),
        (np.full((2, 16), "a"), ("real numbers",)),
    ],
)
def test_arrays_that_do_not_fit(up, npz, array, words):
    refused(npz(x=array), [up], "`x`", *words)


def test_files_that_hold_something_else(up, down, mlp, npz):
    refused(npz(z=np.ones((2, 16))), [up], "`z`", "name an array `x`", "name the original model")
    refused(npz(z=np.ones((2, 16))), [up], "give the graph inputs `x`", model=mlp)
    refused(npz(x=np.ones((2, 16))), [up, down], "for one layer, and 2 are to run", "name the layer to run")
    refused(npz(up=np.ones((2, 16))), [up, down], "no array for layer `down`")
    refused(npz(), [up], "holds nothing")


def test_graph_inputs_that_do_not_fit(up, mlp, npz):
    refused(npz(x=np.ones((2, 16))), [up], "float64", "float32", model=mlp)


def test_a_layer_that_the_model_has_not(make_layer, mlp, npz):
    x = np.ones((2, 16), np.float32)
    refused(npz(x=x), [make_layer("upp", (16, 24))], "no layer `upp`", "did you mean `up`?", model=mlp)
    refused(npz(x=x), [make_layer("down", (16, 24))], "not (..., 16)", model=mlp)


def conv(toys, nested=False):
    """A convolution of 1x1 kernels, in the main graph or in both branches of an If."""
    made = [onnx.helper.make_node("Conv", ["x", "c.weight"], ["y"], name="/c/Conv")]
    inputs, y = [toys.value("x", ["batch", 6, "h", "w"])], toys.value("y", ["batch", 11, "h", "w"])
    if nested:
        branch = onnx.helper.make_graph(made, "branch", [], [y])
        inputs.append(toys.value("yes", [1], toys.BOOL))
        made = [onnx.helper.make_node("If", ["yes"], ["z"], then_branch=branch, else_branch=other(branch))]
        y = toys.value("z", ["batch", 11, "h", "w"])
    return prepare(
        onnx_ir.from_proto(infer_shapes(toys.model(made, inputs, [y], [toys.weight("c.weight", 11, 6, 1, 1)])))
    )


def other(branch):
    copy = onnx.GraphProto()
    copy.CopyFrom(branch)
    copy.node[0].output[0] = copy.output[0].name = "e"
    copy.node[0].name = "/d/Conv"
    return copy


def test_rows_of_a_convolution_are_places(toys, make_layer, npz):
    x = RNG.standard_normal((2, 6, 3, 4)).astype(np.float32)
    found = read_rows(npz(x=x), [make_layer("c", (6, 11))], conv(toys), 20)
    assert np.array_equal(found["c"].x, x.transpose(0, 2, 3, 1).reshape(-1, 6)[:20])


def test_values_of_bodies_are_not_at_hand(toys, make_layer, npz):
    x = RNG.standard_normal((2, 6, 3, 4)).astype(np.float32)
    path = npz(x=x, yes=np.ones(2, bool))
    refused(
        path, [make_layer("c", (6, 11))], "is in the body of another node", "name an array `c`", model=conv(toys, True)
    )
