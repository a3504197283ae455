"""Models of bfloat16 in 32 bits: wherever the type is named, and with the same numbers."""

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper

from qtnc.calibrate.session import session_of
from qtnc.ir.widening import is_narrow, widened

KIND = TensorProto.BFLOAT16

node = helper.make_node


def tensor(name: str, *numbers: float) -> onnx.TensorProto:
    array = np.array(numbers, ml_dtypes.bfloat16)
    return helper.make_tensor(name, KIND, array.shape, array.tobytes(), raw=True)


@pytest.fixture
def model() -> ir.Model:
    """bfloat16 as input and output, as weight, as constant, made by Cast and ConstantOfShape, and in branches."""
    branches = {
        name: helper.make_graph(
            [node("Mul", ["b", f"{name}_w"], [name])],
            name,
            [],
            [helper.make_tensor_value_info(name, KIND, [2])],
            [tensor(f"{name}_w", *numbers)],
        )
        for name, numbers in (("then", (2.0, 3.0)), ("other", (5.0, 7.0)))
    }
    nodes = [
        node("Constant", [], ["one"], value=tensor("one", 1.0, 1.0)),
        node("Add", ["x", "one"], ["a"]),
        node("Cast", ["n"], ["k"], to=KIND),
        node("ConstantOfShape", ["two"], ["half"], value=tensor("value", 0.5)),
        node("Mul", ["k", "half"], ["h"]),
        node("Add", ["a", "h"], ["b"]),
        node("If", ["c"], ["y"], then_branch=branches["then"], else_branch=branches["other"]),
    ]
    inputs = [
        helper.make_tensor_value_info("x", KIND, [2]),
        helper.make_tensor_value_info("n", TensorProto.INT64, [2]),
        helper.make_tensor_value_info("c", TensorProto.BOOL, []),
    ]
    two = helper.make_tensor("two", TensorProto.INT64, [1], [2])
    graph = helper.make_graph(nodes, "narrow", inputs, [helper.make_tensor_value_info("y", KIND, [2])], [two])
    return ir.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10))


def test_the_same_numbers_in_32_bits(model: ir.Model) -> None:
    before = ir.to_proto(model).SerializeToString()
    wide = widened(model)
    assert is_narrow(model)
    assert not is_narrow(wide)
    assert ir.to_proto(model).SerializeToString() == before
    proto = ir.to_proto(wide)
    onnx.checker.check_model(proto, full_check=True)
    assert "type: BFLOAT16" not in str(proto)
    session = session_of(model)
    for branch, factors in ((True, [2.0, 3.0]), (False, [5.0, 7.0])):
        x, n = np.array([0.5, -4.0], np.float32), np.array([3, 6])
        (y,) = session.run(None, {"x": x, "n": n, "c": np.array(branch)})
        assert y.dtype == np.float32
        np.testing.assert_array_equal(y, (x + 1 + n * 0.5) * factors)  # all of them are short binary fractions
