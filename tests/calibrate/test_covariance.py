"""Covariances against numpy on the values that enter each layer."""

from types import ModuleType

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from qtnc.calibrate import covariance
from qtnc.calibrate.covariance import covariances
from qtnc.calibrate.data import DataSet
from qtnc.errors import DataError
from qtnc.ir.layers import find_layers
from qtnc.tensor import mapped

Floats = NDArray[np.float32]


def read(proto: onnx.ModelProto) -> ir.Model:
    return ir.from_proto(onnx.shape_inference.infer_shapes(proto))


def of(x: Floats) -> NDArray[np.float64]:
    """X^T X / rows, every leading axis a row."""
    rows = x.reshape(-1, x.shape[-1]).astype(np.float64)
    return np.asarray(rows.T @ rows / len(rows))


def initial(proto: onnx.ModelProto, name: str) -> Floats:
    return next(np.asarray(numpy_helper.to_array(t)) for t in proto.graph.initializer if t.name == name)


@given(samples=st.integers(1, 20), batch=st.integers(1, 25), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_it_is_that_of_the_inputs_whatever_the_batch(toys: ModuleType, samples: int, batch: int, seed: int) -> None:
    proto = toys.mlp()
    model = read(proto)
    x = np.random.default_rng(seed).standard_normal((samples, 16)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(covariance, "BATCH", batch)
        found = covariances(model, find_layers(model), DataSet("calib", {"x": x}))
    hidden = np.maximum(x @ initial(proto, "up.weight"), 0.0)
    assert set(found) == {"up", "down"}
    # The input itself is summed in float64: nothing but the order of sums differs.
    np.testing.assert_allclose(found["up"], of(x), atol=1e-12 * samples)
    # The activation is float32: two sums of 16 products differ by a few units of 6e-8, relative to |x| |w|.
    np.testing.assert_allclose(found["down"], of(hidden), atol=1e-4)
    assert found["down"].dtype == np.float64


def test_every_leading_axis_is_a_row(toys: ModuleType) -> None:
    proto = toys.reader()
    model = read(proto)
    ids = np.random.default_rng(0).integers(0, 11, (9, 4))
    head = [layer for layer in find_layers(model) if layer.name == "head"]
    found = covariances(model, head, DataSet("calib", {"ids": ids}))
    np.testing.assert_allclose(found["head"], of(initial(proto, "table.weight")[ids]), atol=1e-12)


@pytest.fixture
def branches(toys: ModuleType) -> ir.Model:
    """Two layers that read x, and one that reads what the first made; the last is not an output."""
    nodes = [
        helper.make_node("MatMul", ["x", "q.weight"], ["a"]),
        helper.make_node("MatMul", ["x", "k.weight"], ["b"]),
        helper.make_node("MatMul", ["a", "o.weight"], ["c"]),
        helper.make_node("Add", ["b", "c"], ["y"]),
    ]
    weights = [toys.weight("q.weight", 5, 6), toys.weight("k.weight", 5, 7), toys.weight("o.weight", 6, 7)]
    return read(toys.model(nodes, [toys.value("x", ["batch", 5])], [toys.value("y", ["batch", 7])], weights))


def test_large_ones_lie_in_a_file(toys: ModuleType) -> None:
    model, x = read(toys.mlp()), np.random.default_rng(0).standard_normal((6, 16)).astype(np.float32)
    held = covariances(model, find_layers(model), DataSet("calib", {"x": x}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mapped, "MAPPED", 1)
        outside = covariances(model, find_layers(model), DataSet("calib", {"x": x}))
    for name, array in outside.items():
        np.testing.assert_array_equal(array, held[name])
        assert not array.flags.owndata


def test_a_value_may_count_alone_and_with_another(toys: ModuleType) -> None:
    """q is weighed by x; k reads x too, and is one weight with a layer that reads twice x."""
    nodes = [
        helper.make_node("MatMul", ["x", "q.weight"], ["a"], name="q"),
        helper.make_node("MatMul", ["x", "k.weight"], ["b"], name="k"),
        helper.make_node("Add", ["x", "x"], ["d"]),
        helper.make_node("MatMul", ["d", "o.weight"], ["c"], name="o"),
        helper.make_node("Sum", ["a", "b", "c"], ["y"]),
    ]
    weights = [toys.weight(f"{name}.weight", 5, 6) for name in "qko"]
    model = read(toys.model(nodes, [toys.value("x", ["batch", 5])], [toys.value("y", ["batch", 6])], weights))
    x = np.random.default_rng(0).standard_normal((10, 5)).astype(np.float32)
    for order in (1, -1):
        layers = find_layers(model)[::order]
        found = covariances(model, layers, DataSet("calib", {"x": x}), lambda layer: layer.name == "q")
        np.testing.assert_allclose(found["q"], of(x), atol=1e-12)
        np.testing.assert_allclose(found["k"], of(np.concatenate([x, 2 * x])), atol=1e-12)
        assert found["o"] is found["k"]


def test_layers_that_read_one_value_share_one_array(branches: ir.Model) -> None:
    x = np.random.default_rng(0).standard_normal((10, 5)).astype(np.float32)
    found = covariances(branches, find_layers(branches), DataSet("calib", {"x": x}))
    assert set(found) == {"q", "k", "o"}
    assert found["q"] is found["k"]
    np.testing.assert_allclose(found["q"], of(x), atol=1e-12)


def test_the_model_stays_as_it_is(branches: ir.Model) -> None:
    before = ir.to_proto(branches).SerializeToString(deterministic=True)
    x = np.ones((3, 5), np.float32)
    covariances(branches, find_layers(branches), DataSet("calib", {"x": x}))
    assert ir.to_proto(branches).SerializeToString(deterministic=True) == before


def test_a_model_of_a_fixed_batch_is_calibrated_in_its_batches(toys: ModuleType) -> None:
    model = read(toys.mlp(batch=2))
    x = np.random.default_rng(0).standard_normal((6, 16)).astype(np.float32)
    found = covariances(model, find_layers(model), DataSet("calib", {"x": x}, step=2))
    np.testing.assert_allclose(found["up"], of(x), atol=1e-12)


def test_data_that_does_not_run_is_told_by_name(toys: ModuleType) -> None:
    model = read(toys.reader(vocabulary=11))
    with pytest.raises(DataError, match="data `calib` does not run through the model"):
        covariances(model, find_layers(model)[1:], DataSet("calib", {"ids": np.array([[11]])}))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_an_activation_that_overflows_is_told_by_layer(toys: ModuleType, sign: float) -> None:
    model = read(toys.mlp())
    # float32 ends at 3.4e38: products with a weight of size 1 or 2 pass it.
    x = np.full((2, 16), sign * 3e38, np.float32)
    with pytest.raises(DataError, match="data `calib`: the input of layer `down` is NaN or infinite"):
        covariances(model, [x for x in find_layers(model) if x.name == "down"], DataSet("calib", {"x": x}))


def test_half_precision_is_summed_in_double(toys: ModuleType) -> None:
    half = onnx.TensorProto.FLOAT16
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    weight = numpy_helper.from_array(np.ones((4, 3), np.float16), "w")
    proto = toys.model(nodes, [toys.value("x", ["b", 4], half)], [toys.value("y", ["b", 3], half)], [weight])
    model = read(proto)
    # Squares of 300 pass the end of float16, 65504.
    x = np.full((5, 4), 300.0, np.float16)
    found = covariances(model, find_layers(model), DataSet("calib", {"x": x}))
    np.testing.assert_array_equal(found["w"], np.full((4, 4), 90000.0))


def turned(toys: ModuleType) -> ir.Model:
    """One x (batch, 5, 6), read along each of its axes: as channels, by a weight on the left, by one on the right."""
    nodes = [
        helper.make_node("Conv", ["x", "c.weight"], ["a"]),
        helper.make_node("MatMul", ["l.weight", "x"], ["b"]),
        helper.make_node("MatMul", ["x", "r.weight"], ["d"]),
    ]
    outputs = [toys.value("a", [1, 4, 6]), toys.value("b", [1, 3, 6]), toys.value("d", [1, 5, 2])]
    weights = [toys.weight("c.weight", 4, 5, 1), toys.weight("l.weight", 3, 5), toys.weight("r.weight", 6, 2)]
    return read(toys.model(nodes, [toys.value("x", [1, 5, 6])], outputs, weights))


def test_features_may_lie_along_any_axis(toys: ModuleType) -> None:
    model = turned(toys)
    x = np.random.default_rng(0).standard_normal((1, 5, 6)).astype(np.float32)
    found = covariances(model, find_layers(model), DataSet("calib", {"x": x}))
    np.testing.assert_allclose(found["c"], of(x.transpose(0, 2, 1)), atol=1e-12)
    np.testing.assert_array_equal(found["l"], found["c"])
    np.testing.assert_allclose(found["r"], of(x), atol=1e-12)


def test_layers_of_a_pool_have_the_covariance_of_all_their_rows(branches: ir.Model) -> None:
    x = np.random.default_rng(0).standard_normal((9, 5)).astype(np.float32)
    data = DataSet("calib", {"x": x})
    apart = covariances(branches, find_layers(branches), data)
    pooled = covariances(branches, find_layers(branches), data, lambda layer: layer.name == "o")
    np.testing.assert_allclose(pooled["q"], apart["q"], atol=1e-12)
    assert pooled["q"] is pooled["k"]
