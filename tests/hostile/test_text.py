"""Hostile IR as text, and hostile nodes of the dialect in ONNX files."""

from pathlib import Path
from types import ModuleType
from typing import Any

import onnx
import pytest
from onnx import helper

HEAD = 'qir 1\nmodel opset {"": 18, "qtn": 1} ir 10\n'


def graph(*lines: str, takes: str = "%x: f32[4, 16]", gives: str = "%y: f32[4, 16]") -> str:
    return HEAD + f"graph g({takes}) -> ({gives}) {{\n" + "\n".join(lines) + "\n}\n"


WEIGHT = "weight %w: f32[16, 16] = normal(0)"


def network(equation: str, sizes: str, path: str) -> str:
    options = f'equation = "{equation}", mode_sizes = [{sizes}], features = [16, 16], path = [{path}]'
    return graph(WEIGHT, f'%y = qtn.MPO["a"](%x, %w) {{{options}}} : f32[4, 16]')


def circuit(qubits: int, pairs: str, blocks: str) -> str:
    options = f"qubits = {qubits}, pairs = [{pairs}], features = [16, 16], blocks = [{blocks}]"
    return graph("weight %w: f32[1, 6] = normal(0)", f'%y = qtn.Circuit["a"](%x, %w) {{{options}}} : f32[4, 16]')


REFUSED = {
    "a huge weight": graph("weight %w: f32[1000000000, 1000000000] = normal(0)", "%y = Relu(%x)"),
    "many axes": graph(f"weight %w: f32[{', '.join(['1000000000000000000'] * 500)}] = normal(0)", "%y = Relu(%x)"),
    "a long number": graph(f"weight %w: i64[1] = [{'9' * 5000}]", "%y = Relu(%x)"),
    "a long size": graph(f"weight %w: f32[{'9' * 5000}] = normal(0)", "%y = Relu(%x)"),
    "a long seed": graph(f"weight %w: f32[4] = normal({'9' * 4000})", "%y = Relu(%x)"),
    "bodies": graph("%y = If(%x) {then_branch = " + "graph t() -> (%o) { %o = If(%x) {then_branch = " * 3000),
    "equation of Einsum": graph('%y = Einsum(%x, %x) {equation = "...."} : f32[4, 16]'),
    "no weight of a network": graph('%y = qtn.MPO["a"](%x) : f32[4, 16]'),
    "huge modes": network("m, m n -> n", "1000000000000000000, 1000000000000000000", "0, 1"),
    "no equation": network("->->", "16, 16", "0, 1"),
    "a path that leads nowhere": network("m, m n -> n", "16, 16", "0, 1, 7, 9"),
    "a path of one": network("m, m n -> n", "16, 16", "0, 0"),
    "an odd path": network("m, m n -> n", "16, 16", "0"),
    "huge register": circuit(10**18, "0, 1", "0"),
    "gates elsewhere": circuit(4, "0, 99", "0"),
    "blocks of other gates": circuit(4, "0, 1", "0, 1, 2"),
    "a circle": graph("%y = any.F(%x) : f32[4, 16]").replace('"qtn": 1', '"any": 1')
    + 'function any.F(%x) -> (%y) opset {"": 18, "any": 1} {\n%y = any.F(%x)\n}\n',
    "terminal": "qir 1 \x1b[31m",
    "nul": "\0" * 1000,
}

PASSES = "canonicalize,fold-constants,choose-contraction-order,lower-to-onnx"


@pytest.mark.parametrize("kind", REFUSED)
def test_texts_that_are_refused(kind: str, sandbox: Any) -> None:
    (sandbox.work / "model.qir").write_text(REFUSED[kind])
    for output in ([], ["-o", "made.onnx"]):
        done = sandbox.run("opt", "model.qir", "--pass-pipeline", PASSES, *output, memory=512 << 20)
        assert done.code == 1
        (error,) = done.errors
        assert error.startswith("model.qir:")
        assert not (sandbox.work / "made.onnx").exists()


def test_names_that_act_are_shown(sandbox: Any) -> None:
    name = '"\\u001b[2J\\u202e\\n"'
    text = graph(f"%{name} = Relu(%x) : f32[4, 16] as {name}", f"%y = Relu(%{name}) : f32[4, 16]")
    (sandbox.work / "model.qir").write_text(text)
    assert sandbox.run("opt", "model.qir", "--pass-pipeline", PASSES).code == 0


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 64, (10).to_bytes(8, "little") + b'{"a":{"a":'], ids=["empty", "huge", "cut off"]
)
def test_tensors_beside_the_text(content: bytes, sandbox: Any) -> None:
    (sandbox.work / "model.qir").write_text(graph("weight %w: f32[16, 16] = #0123456789ab", "%y = MatMul(%x, %w)"))
    (sandbox.work / "model.qir.safetensors").write_bytes(content)
    done = sandbox.run("opt", "model.qir", "--pass-pipeline", "")
    assert done.code == 1
    assert len(done.errors) == 1


CALLS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "text for numbers": {"equation": "m, m n -> n", "mode_sizes": "many", "features": [16, 24], "path": [0, 1]},
    "a wrong path": {"equation": "m, m n -> n", "mode_sizes": [16, 24], "features": [16, 24], "path": [3, 4]},
    "a wrong count": {"equation": "m, m n -> n", "mode_sizes": [16], "features": [16, 24], "path": [0, 1]},
    "one feature": {"equation": "m, m n -> n", "mode_sizes": [16, 24], "features": [16], "path": [0, 1]},
}


def calling(toys: ModuleType, attributes: dict[str, Any], body: str) -> onnx.ModelProto:
    """A product written as a node of the dialect, whose function is ``body``."""
    model: onnx.ModelProto = toys.mlp()
    up = helper.make_node("MPO", ["x", "up.weight"], ["a"], name="up", domain="qtn", overload="up", **attributes)
    model.graph.node[0].CopyFrom(up)
    inner = helper.make_node(body, ["x", "w"], ["y"])
    function = helper.make_function("qtn", "MPO", ["x", "w"], ["y"], [inner], [helper.make_opsetid("", 18)])
    function.overload = "up"
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("qtn", 1))
    return model


@pytest.mark.parametrize("kind", CALLS)
def test_nodes_of_the_dialect_that_are_none(kind: str, sandbox: Any, toys: ModuleType) -> None:
    toys.write(calling(toys, CALLS[kind], "MatMul"), Path(sandbox.work) / "model.onnx")
    for command in (["inspect", "model.onnx"], ["opt", "model.onnx", "--pass-pipeline", "lower-to-onnx"]):
        done = sandbox.run(*command)
        assert done.code == 1
        (error,) = done.errors
        assert error.startswith("model.onnx: error: node `up` is no tensor network: ")


def test_a_function_of_the_dialect_means_what_its_node_says(sandbox: Any, toys: ModuleType) -> None:
    attributes = {"equation": "m, m n -> n", "mode_sizes": [16, 24], "features": [16, 24], "path": [0, 1]}
    model = calling(toys, attributes, "MatMul")
    model.functions[0].node.append(helper.make_node("Identity", ["y"], ["unused"], name="planted"))
    toys.write(model, Path(sandbox.work) / "model.onnx")
    done = sandbox.run("opt", "model.onnx", "--pass-pipeline", "")
    assert done.code == 0
    assert "planted" not in done.out
