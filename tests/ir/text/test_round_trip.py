"""What is printed reads back as the same model: structure, bytes, names and metadata."""

from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper
from safetensors.numpy import load_file

from qtnc.errors import ImportModelError
from qtnc.ir.dialect import product_call
from qtnc.ir.layers import find_layers
from qtnc.ir.text.files import load_text, save_text, side_file
from qtnc.ir.text.printer import print_model
from qtnc.ir.text.reader import parse_model
from qtnc.structures.lowrank import LowRank
from qtnc.tensor.order import x_first

FileOf = Callable[[ir.Model], bytes]
HOSTILE = [
    'a"b',
    "line\nbreak",
    "nul\0",
    "%x",
    "// no comment",
    "\u202eright to left",
    "x" * 10_000,
    " ",
    "模型",
    "a//b",
]


def through_files(model: ir.Model, folder: Path) -> ir.Model:
    save_text(model, folder / "m.qir")
    return load_text(folder / "m.qir")


def holds(model: ir.Model, folder: Path, file_of: FileOf) -> None:
    again = through_files(model, folder)
    assert file_of(again) == file_of(model)
    assert print_model(again, metadata=True) == print_model(model, metadata=True)
    short = print_model(model)
    assert print_model(parse_model(short, load_file(side_file(folder / "m.qir")))) == short


def proto(nodes: list[onnx.NodeProto], **more: object) -> onnx.ModelProto:
    """A model of float inputs x, c (a boolean) and output y."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", None, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        **more,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def test_default_metadata_and_docs(tmp_path: Path, file_of: FileOf) -> None:
    source = proto([helper.make_node("Identity", ["x"], ["y"], name="n", doc_string="made\nby hand")])
    source.producer_name, source.producer_version, source.domain = "p", "1", "d"
    source.model_version, source.doc_string = 3, "model"
    source.metadata_props.add(key="k", value='"v"')
    source.graph.doc_string = "graph"
    source.graph.metadata_props.add(key="g", value="h")
    source.graph.node[0].metadata_props.add(key="pkg.torch.onnx.stack_trace", value="File\n" * 50)
    source.graph.node[0].metadata_props.add(key="pkg.torch.onnx.name_scopes", value="['', 'layers.0', 'n']")
    source.graph.input[0].metadata_props.add(key="i", value="j")
    source.graph.input[0].type.denotation = "IMAGE"
    source.graph.input[0].type.tensor_type.shape.dim[0].denotation = "BATCH"
    annotation = source.graph.quantization_annotation.add(tensor_name="x")
    annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="s")
    model = ir.from_proto(source)
    holds(model, tmp_path, file_of)
    assert "stack_trace" not in print_model(model)
    assert '@"layers.0" as "n"' in print_model(model)


def test_if_and_loop(tmp_path: Path, file_of: FileOf) -> None:
    def branch(name: str, value: float) -> onnx.GraphProto:
        nodes = [helper.make_node("Add", ["x", f"{name}.w"], [f"{name}.y"])]
        out = helper.make_tensor_value_info(f"{name}.y", TensorProto.FLOAT, None)
        return helper.make_graph(nodes, name, [], [out], [helper.make_tensor(f"{name}.w", 1, [1], [value])])

    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Neg", ["z"], ["z2"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("z", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("z2", TensorProto.FLOAT, None),
        ],
    )
    nodes = [
        helper.make_node("If", ["c"], ["z0"], then_branch=branch("then", 1.0), else_branch=branch("else", 2.0)),
        helper.make_node("Loop", ["k", "", "z0"], ["y"], body=body),
    ]
    weights = [helper.make_tensor("k", TensorProto.INT64, [], [3]), helper.make_tensor("c", TensorProto.BOOL, [], [1])]
    model = ir.from_proto(proto(nodes, initializer=weights))
    holds(model, tmp_path, file_of)
    assert "weight %c: b8[] = true" in print_model(model)
    assert "Loop(%k, _, %z0)" in print_model(model)


def test_every_kind_of_attribute(tmp_path: Path, file_of: FileOf) -> None:
    tensor = helper.make_tensor("t", TensorProto.FLOAT, [3, 4], list(range(12)))
    graph = helper.make_graph([], "inner", [], [])
    seq = helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, [1, "n", None]))
    maybe = helper.make_optional_type_proto(helper.make_tensor_type_proto(TensorProto.INT64, None))
    values = {
        "int": -3,
        "float": 0.1,
        "huge": float("inf"),
        "string": 'say "hi"\n',
        "ints": [1, 2],
        "floats": [1.0, -2.5e-20],
        "strings": ["a", ""],
        "tensor": tensor,
        "tensors": [tensor, helper.make_tensor("", TensorProto.STRING, [2], [b"text", b"\xff\x00"])],
        "graph": graph,
        "graphs": [graph, graph],
        "type": seq,
        "types": [seq, maybe],
    }
    node = helper.make_node("Any", ["x", "", "x", ""], ["", "y", ""], domain="any.thing", overload="o", **values)
    for kind in ("INTS", "FLOATS", "STRINGS", "TENSORS", "GRAPHS", "TYPE_PROTOS"):
        empty = node.attribute.add(name=f"no {kind}")
        empty.type = getattr(onnx.AttributeProto, kind)
    node.attribute[0].doc_string = "why"
    odd = helper.make_node('odd "op', ["y"], ["z"], domain="odd\ndomain")
    meta = helper.make_node("meta", ["y"], ["z2"])
    model = ir.from_proto(proto([node, odd, meta]))
    holds(model, tmp_path, file_of)


def test_attribute_of_bytes_that_are_no_text(tmp_path: Path) -> None:
    model = ir.from_proto(proto([helper.make_node("Any", ["x"], ["y"], domain="d")]))
    model.graph[0].attributes["raw"] = ir.Attr("raw", ir.AttributeType.STRING, b"\xff\0")
    assert through_files(model, tmp_path).graph[0].attributes["raw"].value == b"\xff\0"


def test_functions(tmp_path: Path, file_of: FileOf) -> None:
    function = helper.make_function(
        "pkg.lib",
        "Scale",
        ["x", "w"],
        ["y"],
        [helper.make_node("LeakyRelu", ["x"], ["z"]), helper.make_node("Mul", ["z", "w"], ["y"], name="m")],
        [helper.make_opsetid("", 18)],
        ["alpha"],
        [helper.make_attribute("twice", [1, 2])],
        overload="two",
        doc_string="scales",
    )
    function.node[0].attribute.add(name="alpha", ref_attr_name="alpha", type=onnx.AttributeProto.FLOAT)
    source = proto([helper.make_node("Scale", ["x", "x"], ["y"], domain="pkg.lib", overload="two", alpha=0.5)])
    source.functions.append(function)
    source.opset_import.add(domain="pkg.lib", version=1)
    holds(ir.from_proto(source), tmp_path, file_of)


@pytest.mark.parametrize("dtype", [d for d in ir.DataType if d not in (ir.DataType.UNDEFINED, ir.DataType.STRING)])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (3, 5)])
def test_every_element_type(dtype: ir.DataType, shape: tuple[int, ...], tmp_path: Path, file_of: FileOf) -> None:
    numbers = np.random.default_rng(0).integers(0, 2, shape)
    model = ir.from_proto(proto([helper.make_node("Identity", ["x"], ["y"])]))
    tensor = ir.Tensor(np.asarray(numbers).astype(dtype.numpy()), dtype, name="w", doc_string="weight")
    value = ir.Value(name="w", type=ir.TensorType(dtype), shape=ir.Shape(shape), const_value=tensor)
    model.graph.register_initializer(value)
    holds(model, tmp_path, file_of)


@pytest.mark.parametrize("number", [np.nan, -np.inf, -0.0, 1e-45, 3.4028235e38, 0.1, 16777217.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, ml_dtypes.bfloat16])
def test_floats_keep_their_bits(number: float, dtype: type, tmp_path: Path) -> None:
    with np.errstate(over="ignore"):
        array = np.array([number]).astype(dtype)
    model = ir.from_proto(proto([helper.make_node("Identity", ["x"], ["y"])]))
    model.graph.register_initializer(ir.Value(name="w", const_value=ir.tensor(array, name="w")))
    again = through_files(model, tmp_path).graph.initializers["w"].const_value
    assert again is not None
    assert again.tobytes() == array.tobytes()


def test_payload_of_nan_goes_beside(tmp_path: Path) -> None:
    array = np.array([0x7FC00001], np.uint32).view(np.float32)
    model = ir.from_proto(proto([helper.make_node("Identity", ["x"], ["y"])]))
    model.graph.register_initializer(ir.Value(name="w", const_value=ir.tensor(array, name="w")))
    assert "= #" in print_model(model)
    again = through_files(model, tmp_path).graph.initializers["w"].const_value
    assert again is not None
    assert again.tobytes() == array.tobytes()


def test_weight_that_is_an_input(tmp_path: Path, file_of: FileOf) -> None:
    source = proto([helper.make_node("Mul", ["x", "w"], ["y"])])
    source.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, ["k"]))
    source.graph.initializer.append(helper.make_tensor("w", TensorProto.FLOAT, [3], [1, 2, 3]))
    holds(ir.from_proto(source), tmp_path, file_of)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(name: str, tmp_path: Path, file_of: FileOf) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", name], [f"{name}!"], name=name, **{name: 1}),
        helper.make_node(name, [f"{name}!"], ["y"], domain=name, overload=name),
    ]
    source = proto(nodes, initializer=[helper.make_tensor(name, TensorProto.FLOAT, [3, 3], range(9))])
    source.graph.name = name
    source.graph.input[0].type.tensor_type.shape.dim[0].dim_param = name
    source.graph.node[0].metadata_props.add(key=name, value=name)
    source.graph.node[0].metadata_props.add(key="pkg.torch.onnx.name_scopes", value=repr([name, "n"]))
    model = ir.from_proto(source)
    holds(model, tmp_path, file_of)
    assert print_model(model).count("\n") == 7
    assert all(c.isprintable() or c == "\n" for c in print_model(model, metadata=True))


@pytest.fixture
def network() -> ir.Model:
    """y = x . A . B as a node of the dialect."""
    model = parse_model(
        """qir 1 model opset {"": 18} ir 10
        graph g(%x: f32[n, 4]) -> (%y: f32[n, 4]) {
          weight %a: f32[4, 2] = normal(0)
          weight %b: f32[2, 4] = normal(1)
          %y = Identity(%x) : f32[n, 4]
        }"""
    )
    a, b = (model.graph.initializers[name] for name in "ab")
    net = LowRank(rank=2).network((4, 4))
    node = product_call(model, "LowRank", "up", model.graph.inputs[0], [a, b], net, x_first(net))
    identity = model.graph[0]
    model.graph.insert_before(identity, node)
    identity.replace_input_with(0, node.outputs[0])
    return model


def test_network_functions_follow_from_their_nodes(network: ir.Model, tmp_path: Path, file_of: FileOf) -> None:
    holds(network, tmp_path, file_of)
    assert len(network.functions) == 1
    assert "function" not in print_model(network)
    onnx.checker.check_model(ir.to_proto(through_files(network, tmp_path)))


def test_network_function_that_does_not_follow_is_shown(network: ir.Model, tmp_path: Path, file_of: FileOf) -> None:
    (function,) = network.functions.values()
    function[0].op_type = "Neg"
    assert "function qtn.LowRank" in print_model(network)
    holds(network, tmp_path, file_of)


def test_network_function_that_is_not_called_is_shown(network: ir.Model, tmp_path: Path, file_of: FileOf) -> None:
    network.graph.remove(network.graph[0])
    network.graph[0].replace_input_with(0, network.graph.inputs[0])
    assert "function qtn.LowRank" in print_model(network)
    holds(network, tmp_path, file_of)


def test_path_at_the_end_of_a_node_names_its_layer() -> None:
    model = parse_model(
        """qir 1 model opset {"": 18} ir 10
        graph g(%x: f32[n, 4]) -> (%y: f32[n, 4]) {
          weight %w: f32[4, 4] = normal(0)
          %y = MatMul(%x, %w) @"layers.0.up"
        }"""
    )
    assert [layer.name for layer in find_layers(model)] == ["layers.0.up"]


def test_seeded_weights() -> None:
    text = """qir 1 model opset {"": 18} ir 10
    graph g(%x: f32[2]) -> (%y: f32[2]) { weight %w: f16[3, 3] = normal(7)  %y = Mul(%x, %w) }"""
    made = parse_model(text).graph.initializers["w"].const_value
    assert made is not None
    np.testing.assert_array_equal(
        made.numpy(), np.random.default_rng(7).standard_normal((3, 3)).astype(np.float16), strict=True
    )


def test_half_a_surrogate_in_name_scopes_is_no_path(tmp_path: Path, file_of: FileOf) -> None:
    source = proto([helper.make_node("Identity", ["x"], ["y"])])
    source.graph.node[0].metadata_props.add(key="pkg.torch.onnx.name_scopes", value=r"['a.\ud800', 'n']")
    holds(ir.from_proto(source), tmp_path, file_of)


def test_no_name_no_text() -> None:
    model = ir.Model(ir.Graph([], [ir.Value()], nodes=[]), ir_version=10)
    with pytest.raises(ImportModelError, match="no name"):
        print_model(model)


def test_damaged_side_file(tmp_path: Path) -> None:
    source = proto([helper.make_node("Identity", ["x"], ["y"])])
    source.graph.initializer.append(helper.make_tensor("w", TensorProto.FLOAT, [3, 3], range(9)))
    path = tmp_path / "m.qir"
    save_text(ir.from_proto(source), path)
    good = path.read_text(encoding="utf-8")
    stored = side_file(path).read_bytes()
    side_file(path).write_bytes(stored[:-1] + b"\xff")
    with pytest.raises(ImportModelError, match="its digest is #"):
        load_text(path)
    side_file(path).write_bytes(stored[:20])
    with pytest.raises(ImportModelError, match="cannot be read"):
        load_text(path)
    side_file(path).unlink()
    with pytest.raises(ImportModelError, match="there is no tensor #"):
        load_text(path)
    with pytest.raises(ImportModelError, match="not f32"):
        parse_model(good, lambda name, dtype, shape, digest: np.zeros((2, 2)))
