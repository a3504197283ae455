"""Which nodes are layers, under which names, and what is known of them."""

from collections.abc import Callable, Mapping

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from qtnc.ir.initializers import add_initializer, drop_unused_initializers
from qtnc.ir.layers import find_layers
from qtnc.ir.rows import rows_of, unbound

Reader = Callable[..., ir.Model]


@pytest.fixture
def read() -> Reader:
    """A model from the text of its graph and the arrays of its initialisers."""

    def made(text: str, weights: Mapping[str, NDArray[np.generic]]) -> ir.Model:
        proto = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": 18]> {text}')
        proto.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in weights.items())
        return ir.from_proto(onnx.shape_inference.infer_shapes(proto))

    return made


W = np.arange(12, dtype=np.float32).reshape(3, 4)


def test_layers_are_nodes_with_a_constant_weight(read: Reader) -> None:
    model = read(
        """g (float[b, 3] x, int64[b] ids, float[b, 2, 5, 5] image, float[3, 4] v) =>
           (float y, float z, float t, float c, float u, float left, float e) {
               y = MatMul(x, up)
               z = Gemm<transB = 1>(x, down, bias)
               t = Gather(table, ids)
               c = Conv(image, kernel)
               u = MatMul(x, v)
               left = MatMul(square, x)
               e = Einsum<equation = "ij->ji">(up)
           }""",
        {
            "up": W,
            "down": np.ascontiguousarray(W.T),
            "bias": np.zeros(4, np.float32),
            "table": np.zeros((9, 6), np.float16),
            "kernel": np.zeros((7, 2, 3, 3), np.float32),
            "square": np.eye(3, dtype=np.float32),
        },
    )
    found = {layer.name: layer for layer in find_layers(model)}
    # A product of two inputs is none, nor is an Einsum of one.
    assert list(found) == ["up", "down", "table", "kernel", "square"]
    assert [layer.op for layer in found.values()] == ["MatMul", "Gemm", "Gather", "Conv", "MatMul"]
    up, down, table = found["up"], found["down"], found["table"]
    assert (up.shape, up.matrix_shape, up.elements, up.bytes, up.dtype) == ((3, 4), (3, 4), 12, 48, ir.DataType.FLOAT)
    assert (down.shape, down.matrix_shape, down.weight_form.arrangement[0]) == ((4, 3), (3, 4), True)
    assert (table.elements, table.bytes, table.dtype) == (54, 108, ir.DataType.FLOAT16)
    np.testing.assert_array_equal(up.matrix(), W)
    np.testing.assert_array_equal(down.matrix(), W)
    assert down.matrix().dtype == np.float64
    assert (up.x.name, table.x.name) == ("x", "ids")


def test_integers_vectors_and_products_of_constants_are_no_layers(read: Reader) -> None:
    model = read(
        """g (int32[b, 3] i, float[b, 3] x) => (int32 y, float z, float w) {
               y = MatMul(i, whole)
               z = MatMul(x, vector)
               w = MatMul(left, right)
           }""",
        {
            "whole": np.zeros((3, 4), np.int32),
            "vector": np.zeros(3, np.float32),
            "left": W,
            "right": np.ascontiguousarray(W.T),
        },
    )
    assert find_layers(model) == ()


def test_a_weight_used_twice_makes_two_layers(read: Reader) -> None:
    model = read(
        "g (float[b, 3] x, float[b, 3] z) => (float y, float t) { y = MatMul(x, w) t = MatMul(z, w) }", {"w": W}
    )
    model.graph.initializers["w"].name = "head.weight"
    assert [layer.name for layer in find_layers(model)] == ["head", "head:2"]


@pytest.mark.parametrize(
    ("shape", "binds", "rows"),
    [
        ([2, 3, 5], {}, 6),
        (["batch", "seq", 5], {"batch": 4, "seq": 7}, 28),
        (["batch", "seq", 5], {"batch": 4}, 4),
        (["batch", 5], {"seq": 9}, 1),
        ([None, 5], {}, 1),
        ([5], {}, 1),
        (None, {"batch": 4}, 1),
    ],
)
def test_rows_are_the_leading_axes(shape: list[int | str | None] | None, binds: dict[str, int], rows: int) -> None:
    value = ir.val("x", ir.DataType.FLOAT, shape)
    assert rows_of(value, binds) == rows


def test_symbolic_axes_of_the_inputs_want_to_be_bound(read: Reader) -> None:
    model = read("g (float[batch, seq, 3] x, float[batch, 2] z) => (float[batch, seq, 3] y) { y = Relu(x) }", {})
    assert unbound(model, {}) == ("batch", "seq")
    assert unbound(model, {"seq": 3}) == ("batch",)


def test_initialisers_find_a_free_name_and_go_when_unread(read: Reader) -> None:
    model = read("g (float[b, 3] x) => (float y) { y = MatMul(x, w) }", {"w": W, "dead": W})
    again = add_initializer(model, "w", W.T)
    assert again.name == "w:2"
    assert again.const_value is not None
    np.testing.assert_array_equal(again.const_value.numpy(), W.T)
    assert add_initializer(model, "w", W).name == "w:3"
    drop_unused_initializers(model)
    assert list(model.graph.initializers) == ["w"]
