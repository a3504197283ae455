"""Canonical names, from whatever exporters write and from what damage leaves of it."""

import onnx_ir as ir
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qtnc.ir.names import NAME_SCOPES, FreeNames, layer_name, module_path, unique, weight_path


def node_of(name: str = "", scopes: str | None = None) -> ir.Node:
    node = ir.node("MatMul", [ir.val("x"), ir.val("w")], name=name)
    if scopes is not None:
        node.metadata_props[NAME_SCOPES] = scopes
    return node


@pytest.mark.parametrize(
    ("scopes", "want"),
    [
        ("['', 'layers.0', 'layers.0.attn', 'layers.0.attn.q', 'linear']", "layers.0.attn.q"),
        ("['', 'head', 'matmul']", "head"),
        ("['', '', 'matmul']", None),
        ("['matmul']", None),
        ("[]", None),
        ("['', 7, 'matmul']", None),
        ("['', 'head', 7, 'matmul']", "head"),
        ("('', 'head', 'matmul')", None),
        ("'head'", None),
        ("", None),
    ],
)
def test_dynamo_keeps_the_module_path_in_metadata(scopes: str, want: str | None) -> None:
    assert module_path(node_of("node_linear_3", scopes)) == want


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("/layers.0/attn/q_proj/MatMul", "layers.0.attn.q_proj"),
        ("/head/Gemm", "head"),
        ("/layers.0//MatMul", "layers.0"),
        ("/MatMul", None),
        ("MatMul_12", None),
        ("a/b/MatMul", None),
        ("", None),
    ],
)
def test_the_legacy_exporter_writes_it_into_node_names(name: str, want: str | None) -> None:
    assert module_path(node_of(name)) == want


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("layers.0.up.weight", "layers.0.up"),
        ("layers.0.up.weight_t", "layers.0.up"),
        ("dense.kernel", "dense"),
        ("layers.0.up.weight_quantized", "layers.0.up"),
        ("weight", "weight"),
        ("layers.0.table", "layers.0.table"),
        ("val_146", None),
        ("onnx::MatMul_123", None),
        ("/layers.0/Transpose_output_0", None),
        ("12", None),
        ("_12", None),
        ("", None),
    ],
)
def test_weights_have_names_too(name: str, want: str | None) -> None:
    assert weight_path(ir.val(name)) == want


def test_the_deepest_source_wins() -> None:
    weight = ir.val("b.weight")
    assert layer_name(node_of("/c/MatMul", "['', 'a', 'linear']"), weight) == "a"
    assert layer_name(node_of("/c/MatMul", "['linear']"), weight) == "c"
    assert layer_name(node_of("MatMul_1"), weight) == "b"
    assert layer_name(node_of("MatMul_1"), ir.val("val_3")) == "MatMul_1"
    assert layer_name(node_of(), ir.val("val_3")) == "MatMul_val_3"


@given(text=st.one_of(st.text(), st.text(alphabet="[]{}()'\",:\\0a -+.")))
@example("{[1]}")
@example("{{}: 1}")
@example("[" * 500)
@example("(" * 100_000)
@example("-" * 100_000 + "1")
@example("9" * 10_000)
@example("'\\d'")
@example("['\\ud800', 'a', 'b']")
@example("\x00")
@settings(max_examples=200, deadline=None)
def test_damaged_metadata_leaves_the_other_sources(text: str) -> None:
    name = layer_name(node_of("/head/MatMul", text), ir.val("w"))
    assert name
    name.encode("utf-8")


@given(names=st.lists(st.sampled_from(["a", "b", "a:2", "a:3", "b:2", "a:2:2"]), max_size=10))
@settings(max_examples=100, deadline=None)
def test_names_become_unique_and_the_first_keeps_its_own(names: list[str]) -> None:
    found = unique(names)
    assert len(set(found)) == len(names)
    for k, (name, given_name) in enumerate(zip(names, found, strict=True)):
        assert given_name == name or (given_name.startswith(f"{name}:") and name in found[:k])


@given(names=st.lists(st.sampled_from(["a", "b", "a:2", "a:3", "b:2"]), max_size=8), data=st.data())
@settings(max_examples=100, deadline=None)
def test_names_stay_while_some_layers_are_rewritten(names: list[str], data: st.DataObject) -> None:
    found = unique(names)
    rewritten = [data.draw(st.booleans()) for _ in names]
    left = [name for name, gone in zip(names, rewritten, strict=True) if not gone]
    known = [name for name, gone in zip(found, rewritten, strict=True) if gone]
    assert unique(left, known) == [name for name, gone in zip(found, rewritten, strict=True) if not gone]


def test_the_second_of_a_name_is_numbered() -> None:
    assert unique(["mlp", "mlp", "mlp"]) == ["mlp", "mlp:2", "mlp:3"]


def test_free_names_know_every_value_branches_included() -> None:
    inner = ir.node("Relu", [ir.val("seen")])
    inner.outputs[0].name = "deep"
    constant = ir.val("held", const_value=ir.tensor([1.0], name="held"))
    branch = ir.Graph([ir.val("given")], [inner.outputs[0]], nodes=[inner], initializers=[constant], name="branch")
    condition = ir.val("c", ir.DataType.BOOL, [])
    outer = ir.node("If", [condition], {"then_branch": ir.AttrGraph("then_branch", branch)})
    outer.outputs[0].name = "y"
    graph = ir.Graph([condition], [outer.outputs[0]], nodes=[outer], opset_imports={"": 18})
    names = FreeNames(ir.Model(graph, ir_version=10))
    for taken in ("c", "y", "deep", "held", "given"):
        assert names.take(taken) == f"{taken}:2"
    assert [names.take("new"), names.take("new")] == ["new", "new:2"]
