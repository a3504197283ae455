"""What it means that two models are the same: equal files, but for the order of functions and how bytes are stored."""

from collections.abc import Callable, Iterable

import onnx
import onnx_ir as ir
import pytest


def plain(tensors: Iterable[onnx.TensorProto]) -> None:
    for tensor in tensors:
        if tensor.data_type != onnx.TensorProto.STRING:
            raw = ir.from_proto(tensor).tobytes()
            for field in ("float_data", "int32_data", "int64_data", "double_data", "uint64_data"):
                tensor.ClearField(field)
            tensor.raw_data = raw


def plain_nodes(nodes: Iterable[onnx.NodeProto]) -> None:
    for node in nodes:
        for attribute in node.attribute:
            plain([attribute.t] if attribute.HasField("t") else [])
            plain(attribute.tensors)
            for graph in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
                plain(graph.initializer)
                plain_nodes(graph.node)


@pytest.fixture
def file_of() -> Callable[[ir.Model], bytes]:
    """The file of a model in one form."""

    def serialised(model: ir.Model) -> bytes:
        proto = ir.to_proto(model)
        plain(proto.graph.initializer)
        plain_nodes(proto.graph.node)
        functions = sorted(proto.functions, key=lambda f: (f.domain, f.name, f.overload))
        for function in functions:
            plain_nodes(function.node)
        del proto.functions[:]
        proto.functions.extend(functions)
        return proto.SerializeToString(deterministic=True)

    return serialised
