"""Models that claim more than there is: read or refused in bounded memory and time, with one clear error."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SPEC = """qtn 1
optimize memory
select all = MatMul
rewrite all -> lowrank(rank: 2)
emit onnx
verify outputs within 100%
"""

READING = 512 << 20
"""Bytes that reading a small file may take, beyond what is imported."""


def write(sandbox: Any, content: bytes) -> None:
    (sandbox.work / "model.onnx").write_bytes(content)
    (sandbox.work / "spec.qtn").write_text(SPEC)


def refused(sandbox: Any, *names: str) -> None:
    """Every command refuses the model in the same words, which name the file and these."""
    for command in (["inspect", "model.onnx"], ["compile", "model.onnx", "spec.qtn", "-o", "out"]):
        done = sandbox.run(*command, memory=READING)
        assert done.code == 1
        (error,) = done.errors
        assert error.startswith("model.onnx: error: ")
        assert all(name in error for name in names), error
        assert len(error) < 600
    assert sorted(path.name for path in sandbox.work.iterdir()) == ["model.onnx", "spec.qtn"]


@pytest.mark.parametrize(
    "kind",
    [
        *("ConstantOfShape", "Expand", "Tile", "Range", "Pad", "OneHot", "Resize", "HannWindow", "RandomNormal"),
        *("outer product", "broadcast", "Einsum", "doubled", "hidden"),
    ],
)
def test_values_that_would_be_huge(kind: str, sandbox: Any, toys: ModuleType, hostile: Any) -> None:
    write(sandbox, hostile.COMPUTED[kind](toys).SerializeToString())
    assert sandbox.run("inspect", "model.onnx", memory=READING).code == 0  # its layers can be told
    done = sandbox.run("compile", "model.onnx", "spec.qtn", "-o", "out")
    assert done.code == 1
    (error,) = done.errors
    assert error.startswith("model.onnx: error: ")
    assert not (sandbox.work / "out").exists()


@pytest.mark.parametrize(
    "kind",
    [
        *("raw", "overflow", "overflow to nothing", "negative", "many axes", "floats", "integers", "strings"),
        "segment",
    ],
)
def test_tensors_that_hold_less_than_they_claim(kind: str, sandbox: Any, toys: ModuleType, hostile: Any) -> None:
    write(sandbox, hostile.holding(toys, hostile.CLAIMED[kind]).SerializeToString())
    refused(sandbox, "claim")


def test_sparse_tensors(sandbox: Any, toys: ModuleType, hostile: Any) -> None:
    write(sandbox, hostile.sparse(toys).SerializeToString())
    refused(sandbox, "`claim` is sparse")


@pytest.mark.parametrize(("depth", "width"), [(20, 2), (40, 2), (4, 100), (90, 1000)])
def test_functions_that_call_each_other_ever_more_often(
    depth: int, width: int, sandbox: Any, toys: ModuleType, hostile: Any
) -> None:
    write(sandbox, hostile.laughs(toys, depth, width).SerializeToString())
    refused(sandbox, "`F")


def test_functions_in_a_circle(sandbox: Any, toys: ModuleType, hostile: Any) -> None:
    write(sandbox, hostile.circle(toys).SerializeToString())
    refused(sandbox, "`F0` -> `F1`")


@pytest.mark.parametrize("depth", [40, 10_000])
def test_bodies_in_bodies(depth: int, sandbox: Any, hostile: Any) -> None:
    write(sandbox, hostile.nested(depth))
    refused(sandbox)


@pytest.mark.parametrize("equation", ["....", "ab..,bc->ac", "a->b->c", "a" * 5000])
def test_equations_from_which_inference_never_returns(
    equation: str, sandbox: Any, toys: ModuleType, hostile: Any
) -> None:
    model = hostile.computed("Einsum", ["v", "v"], hostile.ones("v", 3, 3), equation=equation)(toys)
    write(sandbox, model.SerializeToString())
    refused(sandbox, "equation", "node `k`")


def test_sizes_below_zero_are_any_size(sandbox: Any, toys: ModuleType) -> None:
    model = toys.mlp()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -1
    write(sandbox, model.SerializeToString())
    assert sandbox.run("compile", "model.onnx", "spec.qtn", "-o", "out").code in (0, 3)


def test_inputs_of_a_size_that_no_machine_has(sandbox: Any, toys: ModuleType) -> None:
    write(sandbox, toys.mlp(batch=10**17).SerializeToString())
    done = sandbox.run("compile", "model.onnx", "spec.qtn", "-o", "out", memory=READING)
    assert done.code == 1
    (error,) = done.errors
    assert "`x` takes" in error
    assert sandbox.run("plan", "model.onnx", "spec.qtn", memory=READING).code == 0  # without times


def test_attributes_of_a_million_numbers(sandbox: Any, toys: ModuleType, hostile: Any) -> None:
    model = hostile.computed("Transpose", ["v"], hostile.ones("v", 1), perm=list(range(1_000_000)))(toys)
    write(sandbox, model.SerializeToString())
    refused(sandbox, "perm")


@pytest.mark.parametrize("count", [20_000, pytest.param(100_000, marks=pytest.mark.conformance)])
def test_many_nodes(count: int, sandbox: Any, toys: ModuleType, hostile: Any) -> None:
    model = toys.mlp()
    up, _, down = model.graph.node
    chain = [hostile.node("Relu", [f"r{k}" if k else "a"], [f"r{k + 1}"], name=f"n{k}") for k in range(count)]
    down.input[0] = f"r{count}"
    model.graph.CopyFrom(
        toys.model([up, *chain, down], model.graph.input, model.graph.output, model.graph.initializer).graph
    )
    write(sandbox, model.SerializeToString())
    done = sandbox.run("inspect", "model.onnx", memory=2 << 30, seconds=count / 500)
    assert (done.code, done.errors) == (0, [])


def test_nothing_is_imported_from_the_folder(sandbox: Any, toys: ModuleType, hostile: Any) -> None:
    """Files beside the model with the names of libraries; the model makes inference start its process."""
    for name in ("onnx", "numpy", "torch", "qtnc", "resource", "safetensors", "sitecustomize"):
        (sandbox.work / f"{name}.py").write_text("open('planted', 'w')\n")
    write(sandbox, hostile.hidden(toys).SerializeToString())
    assert sandbox.run("inspect", "model.onnx").code == 0
    assert not (Path(sandbox.work) / "planted").exists()
