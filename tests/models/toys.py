"""Models of a few nodes, written by hand."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

Size = int | str | None

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def weight(name: str, *shape: int) -> TensorProto:
    """Normal floats that depend on the shape alone."""
    rng = np.random.default_rng(list(shape))
    return numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name)


def value(name: str, shape: Sequence[Size] | None, dtype: int = FLOAT) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)


def model(
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    weights: Sequence[TensorProto] = (),
    opset: int = 18,
) -> onnx.ModelProto:
    graph = helper.make_graph(list(nodes), "toy", list(inputs), list(outputs), list(weights))
    imports = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10, producer_name="toys")


def mlp(batch: Size = "batch", opset: int = 18) -> onnx.ModelProto:
    """Two products: x (batch, 16) by ``up``, Relu, ``down``, to y (batch, 8)."""
    nodes = [
        helper.make_node("MatMul", ["x", "up.weight"], ["a"], name="up"),
        helper.make_node("Relu", ["a"], ["b"], name="relu"),
        helper.make_node("MatMul", ["b", "down.weight"], ["y"], name="down"),
    ]
    weights = [weight("up.weight", 16, 24), weight("down.weight", 24, 8)]
    return model(nodes, [value("x", [batch, 16])], [value("y", [batch, 8])], weights, opset)


def scaled() -> onnx.ModelProto:
    """The same with what is multiplied by ``up`` three times as large, the factor behind the product."""
    nodes = [
        helper.make_node("MatMul", ["x", "up.weight"], ["a"], name="up"),
        helper.make_node("Mul", ["a", "three"], ["c"], name="scale"),
        helper.make_node("Relu", ["c"], ["b"], name="relu"),
        helper.make_node("MatMul", ["b", "down.weight"], ["y"], name="down"),
    ]
    three = numpy_helper.from_array(np.float32(3), "three")
    weights = [weight("up.weight", 16, 24), weight("down.weight", 24, 8), three]
    return model(nodes, [value("x", ["batch", 16])], [value("y", ["batch", 8])], weights)


def reader(vocabulary: int = 11) -> onnx.ModelProto:
    """Ids (batch, seq) looked up in a table, and a product."""
    nodes = [
        helper.make_node("Gather", ["table.weight", "ids"], ["e"], name="table"),
        helper.make_node("MatMul", ["e", "head.weight"], ["y"], name="head"),
    ]
    weights = [weight("table.weight", vocabulary, 8), weight("head.weight", 8, 12)]
    ids, y = value("ids", ["batch", "seq"], INT64), value("y", ["batch", "seq", 12])
    return model(nodes, [ids], [y], weights)


def write(proto: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(proto.SerializeToString())
    return path


def old(opset: int = 11) -> onnx.ModelProto:
    """Operators whose form changed with opset 13: axes of Squeeze, Unsqueeze and ReduceSum were attributes."""
    nodes = [
        helper.make_node("MatMul", ["x", "up.weight"], ["a"], name="up"),
        helper.make_node("ReduceSum", ["a"], ["s"], axes=[1], keepdims=1),
        helper.make_node("Squeeze", ["s"], ["q"], axes=[1]),
        helper.make_node("Unsqueeze", ["q"], ["u"], axes=[1]),
        helper.make_node("Add", ["u", "a"], ["b"]),
        helper.make_node("Softmax", ["b"], ["c"], axis=1),
        helper.make_node("MatMul", ["c", "down.weight"], ["y"], name="down"),
    ]
    weights = [weight("up.weight", 16, 24), weight("down.weight", 24, 8)]
    return model(nodes, [value("x", ["batch", 16])], [value("y", ["batch", 8])], weights, opset)


def branching() -> onnx.ModelProto:
    """A product, then one of two others, and a third three times."""
    then = helper.make_graph(
        [helper.make_node("MatMul", ["a", "left.weight"], ["t"], name="left")], "then", [], [value("t", None)]
    )
    other = helper.make_graph(
        [helper.make_node("MatMul", ["a", "right.weight"], ["e"], name="right")],
        "other",
        [],
        [value("e", None)],
        [weight("right.weight", 16, 16)],
    )
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["v", "again.weight"], ["w"], name="again"),
            helper.make_node("Identity", ["go"], ["on"]),
        ],
        "body",
        [value("k", [], INT64), value("go", [], BOOL), value("v", None)],
        [value("on", [], BOOL), value("w", None)],
    )
    nodes = [
        helper.make_node("MatMul", ["x", "up.weight"], ["a"], name="up"),
        helper.make_node("If", ["c"], ["b"], then_branch=then, else_branch=other),
        helper.make_node("Loop", ["times", "", "b"], ["y"], body=body),
    ]
    weights = [
        weight("up.weight", 16, 16),
        weight("left.weight", 16, 16),
        weight("again.weight", 16, 16),
        numpy_helper.from_array(np.array(3), "times"),
    ]
    return model(nodes, [value("x", ["batch", 16]), value("c", [], BOOL)], [value("y", ["batch", 16])], weights)


def scanning() -> onnx.ModelProto:
    """A recurrence over x (seq, batch, 16): each state is Tanh of the last one by one weight and of x by another."""
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["h", "state.weight"], ["a"], name="state"),
            helper.make_node("Gemm", ["v", "input.weight", "bias"], ["b"], name="input"),
            helper.make_node("Add", ["a", "b"], ["c"]),
            helper.make_node("Tanh", ["c"], ["next"]),
            helper.make_node("Identity", ["next"], ["out"]),
        ],
        "body",
        [value("h", ["batch", 16]), value("v", ["batch", 16])],
        [value("next", ["batch", 16]), value("out", ["batch", 16])],
        [weight("input.weight", 16, 16)],
    )
    nodes = [helper.make_node("Scan", ["start", "x"], ["last", "y"], body=body, num_scan_inputs=1)]
    inputs = [value("start", ["batch", 16]), value("x", ["seq", "batch", 16])]
    outputs = [value("last", ["batch", 16]), value("y", ["seq", "batch", 16])]
    return model(nodes, inputs, outputs, [weight("state.weight", 16, 16), weight("bias", 16)])
