"""Shapes are those that onnx finds when it follows elements, and stay unknown where its process is lost."""

import sys
from types import ModuleType

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper, numpy_helper

from qtnc.ir.inference import infer_shapes


@pytest.fixture
def reshaping(toys: ModuleType) -> onnx.ModelProto:
    """x (batch, 16) reshaped to (batch, 4, 4) by a shape that is computed, and back by one that is not."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"], end=1),
        helper.make_node("Concat", ["shape", "four"], ["split"], axis=0),
        helper.make_node("Reshape", ["x", "split"], ["square"]),
        helper.make_node("Relu", ["square"], ["positive"]),
        helper.make_node("Reshape", ["positive", "joined"], ["y"]),
    ]
    weights = [numpy_helper.from_array(np.array([4, 4]), "four"), numpy_helper.from_array(np.array([-1, 16]), "joined")]
    return toys.model(nodes, [toys.value("x", ["batch", 16])], [toys.value("y", ["batch", 16])], weights)


def shapes(model: ir.Model) -> dict[str, list[int | str | None] | None]:
    values = (value for node in model.graph for value in node.outputs)
    return {
        str(v.name): None if v.shape is None else [a if isinstance(a, int) else a.value for a in v.shape]
        for v in values
    }


def test_shapes_that_depend_on_elements(reshaping: onnx.ModelProto) -> None:
    found = shapes(infer_shapes(ir.from_proto(reshaping)))
    assert found["square"] == found["positive"] == ["batch", 4, 4]
    truth = shapes(ir.from_proto(onnx.shape_inference.infer_shapes(reshaping, data_prop=True)))
    assert found == truth


def test_a_process_that_is_lost_leaves_shapes_unknown(
    reshaping: onnx.ModelProto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    found = shapes(infer_shapes(ir.from_proto(reshaping)))
    assert found["y"] == ["batch", 16]
    assert found["square"] is not None
    assert all(str(axis).startswith("unk__") for axis in found["square"])  # three, and no more is known
    assert len(found["square"]) == 3


def test_large_weights_keep_their_numbers(toys: ModuleType) -> None:
    proto = toys.mlp()
    model = infer_shapes(ir.from_proto(proto))
    assert shapes(model) == {"a": ["batch", 24], "b": ["batch", 24], "y": ["batch", 8]}
    for tensor in proto.graph.initializer:
        held = model.graph.initializers[tensor.name].const_value
        assert held is not None
        np.testing.assert_array_equal(held.numpy(), numpy_helper.to_array(tensor))
    assert [value.name for value in model.graph.inputs] == ["x"]
