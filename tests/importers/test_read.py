"""What is read: canonical names whatever exporter wrote the model, one opset, shapes."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper

from qtnc.compiler import prepare
from qtnc.importers.onnx import read_model
from qtnc.ir.layers import find_layers

NAMES = ["table", "layers.0.up", "layers.0.down", "layers.1.up", "layers.1.down", "head"]


@pytest.mark.parametrize("exporter", ["dynamo", "legacy"])
def test_one_name_whatever_the_exporter(exporter: str, exported: Callable[[str], Path]) -> None:
    layers = find_layers(prepare(read_model(exported(exporter))))
    assert [layer.name for layer in layers] == NAMES
    assert [layer.matrix_shape for layer in layers if layer.op != "Gather"] == [
        (16, 24),
        (24, 16),
        (16, 24),
        (24, 16),
        (16, 5),
    ]
    assert all(layer.x.shape is not None for layer in layers)


@pytest.mark.parametrize("exporter", ["dynamo", "legacy"])
def test_no_path_of_the_exporting_machine_is_kept(exporter: str, exported: Callable[[str], Path]) -> None:
    proto = ir.to_proto(read_model(exported(exporter)))
    assert str(Path(__file__).parents[1]).encode() not in proto.SerializeToString()


@pytest.mark.parametrize("opset", [7, 11, 12])
def test_old_opsets_are_raised(opset: int, tmp_path: Path, toys: ModuleType) -> None:
    original = toys.old(opset)
    path = toys.write(original, tmp_path / "model.onnx")
    model = read_model(path)
    assert model.graph.opset_imports == {"": 13}
    assert [layer.name for layer in find_layers(prepare(model))] == ["up", "down"]
    x = np.random.default_rng(0).standard_normal((3, 16)).astype(np.float32)
    before, after = (
        onnx.reference.ReferenceEvaluator(m).run(None, {"x": x})[0] for m in (original, ir.to_proto(model))
    )
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("opset", [13, 18, 23, 25])
def test_other_opsets_are_kept(opset: int, tmp_path: Path, toys: ModuleType) -> None:
    assert read_model(toys.write(toys.mlp(opset=opset), tmp_path / "model.onnx")).graph.opset_imports == {"": opset}


def test_the_standard_domain_has_one_name(tmp_path: Path, toys: ModuleType, refused: Callable[[Path], str]) -> None:
    model = toys.mlp()
    model.opset_import[0].domain = "ai.onnx"
    assert read_model(toys.write(model, tmp_path / "model.onnx")).graph.opset_imports == {"": 18}
    model.opset_import.append(helper.make_opsetid("", 11))
    assert "two opsets of the standard domain: 11 and 18" in refused(toys.write(model, tmp_path / "model.onnx"))


@pytest.mark.parametrize(("opset", "reason"), [(99, "newer than 25"), (26, "newer than 25"), (0, ""), (-5, "")])
def test_other_opsets_are_refused(
    opset: int, reason: str, tmp_path: Path, toys: ModuleType, refused: Callable[[Path], str]
) -> None:
    assert reason in refused(toys.write(toys.mlp(opset=opset), tmp_path / "model.onnx"))


def test_no_opset(tmp_path: Path, toys: ModuleType, refused: Callable[[Path], str]) -> None:
    model = toys.mlp()
    del model.opset_import[:]
    assert "opset" in refused(toys.write(model, tmp_path / "model.onnx"))


def cycle(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[0] = "y"


def same_output(model: onnx.ModelProto) -> None:
    model.graph.node[1].output[0] = "a"


def same_weight(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(model.graph.initializer[0])


def same_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(model.graph.input[0])


def missing_weight(model: onnx.ModelProto) -> None:
    del model.graph.initializer[0]


def missing_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "nowhere"


def no_output(model: onnx.ModelProto) -> None:
    del model.graph.output[:]


def no_graph(model: onnx.ModelProto) -> None:
    model.ClearField("graph")


def unknown_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "Nope"


def too_many_inputs(model: onnx.ModelProto) -> None:
    model.graph.node[0].input.append("x")


def attribute_of_no_function(model: onnx.ModelProto) -> None:
    attribute = onnx.AttributeProto(name="value", type=onnx.AttributeProto.TENSOR, ref_attr_name="outer")
    model.graph.node.append(onnx.NodeProto(op_type="Constant", output=["k"], attribute=[attribute]))


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (cycle, "topologically sorted"),
        (same_output, "'a'"),
        (same_weight, "up.weight"),
        (same_input, "'x'"),
        (missing_weight, "up.weight"),
        (missing_output, "nowhere"),
        (no_output, "no graph with outputs"),
        (no_graph, "no graph with outputs"),
        (unknown_operator, "Nope"),
        (too_many_inputs, "up"),
        (attribute_of_no_function, "refers to an attribute of no function"),
    ],
)
def test_graphs_that_are_none(
    spoil: Callable[[onnx.ModelProto], None],
    word: str,
    tmp_path: Path,
    toys: ModuleType,
    refused: Callable[[Path], str],
) -> None:
    model = toys.mlp()
    spoil(model)
    message = refused(toys.write(model, tmp_path / "model.onnx"))
    assert word in message
    assert "\n" not in message.split("\n  = help: ")[0]


def test_nodes_of_one_name_and_weights_that_are_inputs(tmp_path: Path, toys: ModuleType) -> None:
    model = toys.mlp()
    for node in model.graph.node:
        node.name = "/block/same"
    model.graph.input.append(toys.value("up.weight", [16, 24]))
    layers = find_layers(prepare(read_model(toys.write(model, tmp_path / "model.onnx"))))
    assert [layer.name for layer in layers] == ["block", "block:2"]


def test_layers_in_branches_and_loops_come_last(tmp_path: Path, toys: ModuleType) -> None:
    model = prepare(read_model(toys.write(toys.branching(), tmp_path / "model.onnx")))
    found = {layer.name: layer.nested for layer in find_layers(model)}
    assert found == {"up": False, "left": True, "right": True, "again": True}
    assert next(iter(found)) == "up"
