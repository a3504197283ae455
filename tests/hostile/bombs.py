"""Small files that claim, or would become, more than any machine has."""

from collections.abc import Callable, Mapping
from types import ModuleType

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

HUGE = 10**9
node = helper.make_node


def ints(name: str, *numbers: int) -> TensorProto:
    return numpy_helper.from_array(np.array(numbers, np.int64), name)


def whole(name: str, number: int) -> TensorProto:
    return numpy_helper.from_array(np.array(number, np.int64), name)


def ones(name: str, *shape: int) -> TensorProto:
    return numpy_helper.from_array(np.ones(shape, np.float32), name)


def claim(dims: list[int], dtype: int = TensorProto.FLOAT, **held: object) -> TensorProto:
    return TensorProto(name="claim", data_type=dtype, dims=dims, **held)


def beside(toys: ModuleType, nodes: list[NodeProto], *weights: TensorProto) -> onnx.ModelProto:
    """Two products, and beside them nodes that make ``k``, whose size is an output."""
    model: onnx.ModelProto = toys.mlp()
    for made in reversed(nodes):
        model.graph.node.insert(0, made)
    model.graph.node.append(node("Size", ["k"], ["size"]))
    model.graph.output.append(toys.value("size", [], toys.INT64))
    model.graph.initializer.extend(weights)
    return model


def computed(op: str, inputs: list[str], *weights: TensorProto, **attributes: object) -> Callable[..., onnx.ModelProto]:
    return lambda toys: beside(toys, [node(op, inputs, ["k"], **attributes)], *weights)


def doubled(times: int) -> Callable[..., onnx.ModelProto]:
    """A vector joined with itself again and again: no large number is written anywhere."""
    nodes = [node("Concat", [f"d{k}", f"d{k}"], [f"d{k + 1}"], axis=0) for k in range(times)]
    return lambda toys: beside(toys, [*nodes, node("Identity", [f"d{times}"], ["k"])], ones("d0", 1))


def hidden(toys: ModuleType) -> onnx.ModelProto:
    """A size that only following the elements of a vector reveals, and a vector of that size."""
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Slice", ["s", "one", "two"], ["w"]),
        node("Mul", ["w", "huge"], ["n"]),
        node("Expand", ["unit", "n"], ["k"]),
    ]
    return beside(toys, nodes, ints("one", 1), ints("two", 2), ints("huge", HUGE), ones("unit", 1))


COMPUTED: Mapping[str, Callable[..., onnx.ModelProto]] = {
    "ConstantOfShape": computed("ConstantOfShape", ["s"], ints("s", HUGE, HUGE)),
    "Expand": computed("Expand", ["v", "s"], ones("v", 1), ints("s", HUGE, HUGE)),
    "Tile": computed("Tile", ["v", "s"], ones("v", 1), ints("s", HUGE * HUGE)),
    "Range": computed("Range", ["from", "to", "by"], whole("from", 0), whole("to", HUGE * HUGE), whole("by", 1)),
    "Pad": computed("Pad", ["v", "s"], ones("v", 1), ints("s", HUGE, HUGE * HUGE)),
    "OneHot": computed("OneHot", ["i", "d", "v"], ints("i", 0), whole("d", HUGE * HUGE), ones("v", 2)),
    "Resize": computed("Resize", ["v", "", "", "s"], ones("v", 1, 1, 1, 1), ints("s", 1, 1, HUGE, HUGE)),
    "HannWindow": computed("HannWindow", ["s"], whole("s", HUGE * HUGE)),
    "RandomNormal": computed("RandomNormal", [], shape=[HUGE, HUGE]),
    "outer product": computed("MatMul", ["l", "r"], ones("l", 200_000, 1), ones("r", 1, 200_000)),
    "broadcast": computed("Add", ["l", "r"], ones("l", 200_000, 1), ones("r", 1, 200_000)),
    "Einsum": computed("Einsum", ["v"] * 4, ones("v", 2000), equation="a,b,c,d->abcd"),
    "doubled": doubled(60),
    "hidden": hidden,
}
"""Values that folding or inference might write out."""

CLAIMED: Mapping[str, TensorProto] = {
    "raw": claim([HUGE, HUGE], raw_data=b"abcd"),
    "overflow": claim([2**32, 2**32], raw_data=b""),
    "overflow to nothing": claim([2**63 - 1, 2**63 - 1, 4], raw_data=b""),
    "negative": claim([-1, -1], raw_data=b"abcd"),
    "many axes": claim([10**18] * 400, raw_data=b""),
    "floats": claim([HUGE, HUGE], float_data=[1.0]),
    "integers": claim([HUGE, HUGE], TensorProto.INT64, int64_data=[1]),
    "strings": claim([HUGE, HUGE], TensorProto.STRING, string_data=[b"a"]),
    "segment": claim([HUGE, HUGE], segment=TensorProto.Segment(begin=0, end=4)),
}
"""Tensors that hold less than they claim."""


def holding(toys: ModuleType, tensor: TensorProto) -> onnx.ModelProto:
    return beside(toys, [node("Identity", ["claim"], ["k"])], tensor)


def sparse(toys: ModuleType) -> onnx.ModelProto:
    model = beside(toys, [node("Identity", ["claim"], ["k"])])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(ones("claim", 1), ints("at", 0), [HUGE, HUGE]))
    return model


def laughs(toys: ModuleType, depth: int, width: int) -> onnx.ModelProto:
    """Functions that call the next ``width`` times, the last of them Relu."""
    model: onnx.ModelProto = toys.mlp()
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("d", 1)]
    for level in range(depth):
        steps = ["p", *(f"t{k}" for k in range(1, width)), "q"]
        nodes = [node(f"F{level + 1}", [steps[k]], [steps[k + 1]], domain="d") for k in range(width)]
        nodes = nodes if level < depth - 1 else [node("Relu", ["p"], ["q"])]
        model.functions.append(helper.make_function("d", f"F{level}", ["p"], ["q"], nodes, imports))
    model.opset_import.append(imports[1])
    model.graph.node[1].op_type, model.graph.node[1].domain = "F0", "d"
    return model


def circle(toys: ModuleType) -> onnx.ModelProto:
    model = laughs(toys, 2, 1)
    model.functions[1].node[0].op_type, model.functions[1].node[0].domain = "F0", "d"
    return model


def nested(depth: int) -> bytes:
    """A model whose Ifs are nested; written as bytes, since protobuf refuses to write what it refuses to read."""

    def field(number: int, held: bytes) -> bytes:
        length, size = len(held), b""
        while length >= 0x80:
            size, length = size + bytes([length & 0x7F | 0x80]), length >> 7
        return bytes([number << 3 | 2]) + size + bytes([length]) + held

    output = field(12, helper.make_tensor_value_info("o", TensorProto.FLOAT, [1]).SerializeToString())
    graph = field(1, node("Identity", ["a"], ["o"]).SerializeToString()) + field(2, b"g") + output
    for _ in range(depth):
        branch = field(1, b"then_branch") + field(6, graph) + bytes([0xA0, 1, 5])
        graph = field(1, field(1, b"c") + field(2, b"o") + field(4, b"If") + field(5, branch)) + field(2, b"g") + output
    imports = field(8, helper.make_opsetid("", 18).SerializeToString())
    return bytes([8, 10]) + field(7, graph) + imports
