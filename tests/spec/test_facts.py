"""What is a product is asked of the layer's form: whatever is rewritten has rows, columns and an entropy."""

from collections.abc import Callable
from types import ModuleType

import numpy as np
import onnx_ir as ir
import pytest
from onnx import helper

from qtnc.ir.layers import find_layers
from qtnc.spec.program import Spec
from qtnc.spec.select import select_layers
from qtnc.tensor.entropy import operator_entropy

Read = Callable[[str], Spec]


@pytest.fixture
def convolutions(toys: ModuleType) -> ir.Model:
    """Kernels of size 1, of size 3, and of size 1 in groups."""
    nodes = [
        helper.make_node("Conv", ["x", "one.weight"], ["a"], name="one"),
        helper.make_node("Conv", ["a", "three.weight"], ["b"], name="three", pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["b", "grouped.weight"], ["y"], name="grouped", group=2),
    ]
    weights = [toys.weight("one.weight", 8, 4, 1, 1), toys.weight("three.weight", 8, 8, 3, 3)]
    weights.append(toys.weight("grouped.weight", 8, 4, 1, 1))
    inputs, outputs = [toys.value("x", ["batch", 4, 5, 5])], [toys.value("y", ["batch", 8, 5, 5])]
    return ir.from_proto(toys.model(nodes, inputs, outputs, weights))


def test_convolutions_of_size_one_are_products(read: Read, convolutions: ir.Model) -> None:
    layers = find_layers(convolutions)
    texts = {
        "select it = Conv where weight.rows == 4 and weight.columns == 8": ("one",),
        "select it = Conv where not weight.rows >= 1": ("three", "grouped"),
        'select it = top 1 of (Conv where name ~ "one") by entropy': ("one",),
    }
    for text, wanted in texts.items():
        assert select_layers(read(f"qtn 1\n{text}\nemit torch"), layers)["it"] == wanted


def test_the_entropy_is_that_of_the_channels(convolutions: ir.Model, toys: ModuleType) -> None:
    (one, *_) = find_layers(convolutions)
    held = np.frombuffer(toys.weight("one.weight", 8, 4, 1, 1).raw_data, np.float32).reshape(8, 4)
    np.testing.assert_array_equal(one.matrix(), held.T)
    assert operator_entropy(one.matrix()) == pytest.approx(operator_entropy(held.T.astype(np.float64)), rel=1e-12)
