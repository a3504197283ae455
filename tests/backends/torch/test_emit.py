"""What holds for any model: dtypes, functions, shared weights, malformed nodes."""

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest
import torch
from safetensors.torch import load_file

from qtnc.backends.torch.emit import compose
from qtnc.errors import BackendError
from qtnc.ir.dialect import DOMAIN
from qtnc.tensor.network import TensorNetwork


def product(build, dtype, name="layers.0.up.weight"):
    x = build.value("x", ["batch", 4], ir.DataType.from_numpy(np.dtype(dtype)))
    weight = build.initialiser(name, np.arange(12).reshape(4, 3).astype(dtype))
    return build.model([x], [build.node("MatMul", [x, weight], "y", "layers.0.up")], {"y": ["batch", 3]})


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (np.float64, torch.float64),
        (np.float16, torch.float16),
        (ml_dtypes.bfloat16, torch.bfloat16),
        (np.int64, torch.int64),
    ],
)
def test_keeps_dtypes(build, emit, tmp_path, dtype, expected):
    module = emit(product(build, dtype))
    (weight,) = load_file(tmp_path / "model.safetensors").values()
    assert weight.dtype == expected
    assert isinstance(module.layers_0_up_weight, torch.nn.Parameter) == expected.is_floating_point
    y = module(torch.ones(2, 4, dtype=expected))
    assert y.tolist() == [[18, 22, 26]] * 2


def test_one_tensor_is_stored_once(build, emit, tmp_path):
    x = build.value("x", ["batch", 4])
    weight = build.initialiser("tied.weight", np.eye(4, dtype=np.float32))
    twin = build.value("other.weight", [4, 4])
    twin.const_value = weight.const_value
    first = build.node("MatMul", [x, weight], "a", "one")
    second = build.node("MatMul", [first.outputs[0], twin], "y", "two")
    module = emit(build.model([x], [first, second], {"y": ["batch", 4]}))
    assert list(load_file(tmp_path / "model.safetensors")) == ["tied_weight"]
    assert [n for n, _ in module.named_parameters()] == ["tied_weight"]


def test_unread_weights_are_left_out(build, emit, tmp_path):
    model = product(build, np.float32)
    spare = build.initialiser("spare.weight", np.zeros((2, 2), np.float32))
    model.graph.register_initializer(spare)
    emit(model)
    assert list(load_file(tmp_path / "model.safetensors")) == ["layers_0_up_weight"]


def test_additive_masks_and_indices_do_not_train(build, emit):
    x = build.value("x", ["batch", 3])
    mask = build.initialiser("mask.bias", np.array([0, -np.inf, 0], np.float32))
    picked = build.initialiser("order", np.array([[2, 0]]))
    masked = build.node("Add", [x, mask], "a")
    result = build.node("Gather", [masked.outputs[0], picked], "y", axis=1)
    module = emit(build.model([x], [masked, result], {"y": ["batch", 1, 2]}))
    assert list(module.parameters()) == []
    assert module(torch.zeros(1, 3)).tolist() == [[[0, 0]]]


def function(name, domain, nodes, inputs, outputs, overload=""):
    graph = ir.Graph(inputs, outputs, nodes=nodes, opset_imports={"": 21})
    return ir.Function(domain, name, overload, graph=graph, attributes=[])


def test_local_functions_are_written_in_place(build, emit):
    x, inner = build.value("x", ["batch", 4]), ir.Value(name="inner")
    body = build.node("Relu", [inner], "bent")
    twice = build.node("Add", [body.outputs[0], body.outputs[0]], "twice")
    call = build.node("Doubled", [x], "y")
    call.domain = "local"
    model = build.model([x], [call], {"y": ["batch", 4]})
    model.graph.opset_imports["local"] = 1
    made = function("Doubled", "local", [body, twice], [inner], [twice.outputs[0]])
    model.functions[made.identifier()] = made
    assert emit(model)(torch.tensor([[-1.0, 0, 1, 2]])).tolist() == [[0, 0, 2, 4]]


def test_networks_are_written_from_their_attributes_and_not_from_their_bodies(build, emit):
    net = TensorNetwork((("m",), ("m", "n")), ("n",), {"m": 4, "n": 3}, (4, 3))
    x = build.value("x", ["batch", 4])
    core = build.initialiser("core", np.ones((4, 3), np.float32))
    call = build.network(x, [core], net, ((0, 1),), "y", "up")
    model = build.model([x], [call], {"y": ["batch", 3]})
    a, b = ir.Value(name="a"), ir.Value(name="b")
    body = build.node("MatMul", [a, b], "c")
    made = function("Mpo", DOMAIN, [body], [a, b], [body.outputs[0]])
    model.functions[made.identifier()] = made
    assert "torch.einsum" in compose(model).text()
    assert emit(model)(torch.ones(2, 4)).tolist() == [[4, 4, 4]] * 2


def test_malformed_nodes_are_named(build):
    x = build.value("x", ["batch", 4])
    node = build.node("Transpose", [x], "y", perm=[0, 9])
    pad = build.node("Cast", [node.outputs[0]], "z", to=999)
    with pytest.raises(BackendError, match="Transpose `node_y` is malformed"):
        compose(build.model([x], [node, pad], {"z": ["batch", 4]}))


def test_shape_numbers_that_have_no_answer_stay_tensors(build, emit):
    x = build.value("x", ["batch", 4])
    one, none = build.initialiser("val_1", np.array([1.0], np.float32)), build.initialiser("val_2", np.float32(0))
    infinite = build.node("Div", [one, none], "a")
    result = build.node("Mul", [x, infinite.outputs[0]], "y")
    module = emit(build.model([x], [infinite, result], {"y": ["batch", 4]}))
    assert module(torch.ones(1, 4)).isinf().all()
