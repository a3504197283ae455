"""Names: readable where they are honest, harmless where they are not."""

import ast
import keyword

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from qtnc.backends.torch.emit import compose
from qtnc.backends.torch.names import MODULE_ATTRIBUTES, Namespace, block_of, comment, identifier, is_anonymous
from qtnc.errors import BackendError

NASTY = [
    '"""; import os; os.system("x")  #',
    "a\nimport os",
    "\\\nexec(1)",
    "*/ ?>",
    "a\0b",
    "\0" + "1\0",
    "class",
    "match",
    "forward",
    "type",
    "../../etc/passwd",
    "x" * 10_000,
    "naïve",
    "变量",
    "\N{FULLWIDTH LATIN SMALL LETTER A}",
    "self",
    "torch",
    "__class__",
    "'''",
    "{0}",
    "%s",
    "1e5",
    "",
    " ",
    "load_state_dict",
    "\u2028import os",
]
PHASES = (Phase.explicit, Phase.generate)
"""No shrinking: it is slow on names of 10,000 characters, and the failing names tell enough."""

name = st.one_of(st.sampled_from(NASTY), st.text(max_size=40), st.text("a\"'\\\n\r\0#.{}()", max_size=20))


@given(name)
def test_identifiers_are_plain(text):
    made = identifier(text)
    assert made.isidentifier()
    assert made.isascii()
    assert not keyword.iskeyword(made)
    assert not made.startswith("_")
    assert len(made) < 120


@given(name)
def test_comments_stay_on_their_line(text):
    made = comment(text)
    assert len(made) <= 93
    assert made.isprintable()
    assert made.isascii()
    assert not set(made) & set("\"'\\`\n\r")


def test_weights_shadow_nothing_of_a_module():
    public = {n for n in dir(torch.nn.Module()) if not n.startswith("_")}
    assert public <= MODULE_ATTRIBUTES


def test_namespace_never_gives_a_name_twice():
    names = Namespace(["forward"])
    assert [names.claim(n) for n in ("a.b", "a_b", "a/b", "forward", "a_b_2")] == [
        "a_b",
        "a_b_2",
        "a_b_3",
        "forward_2",
        "a_b_2_2",
    ]


@pytest.mark.parametrize(
    ("path", "block"),
    [
        ("layers.0.attn.q_proj", "layers.0"),
        ("model.layers.11", "model.layers.11"),
        ("embed", ""),
        ("", ""),
        ("h.1.2.x", "h.1"),
    ],
)
def test_block_of(path, block):
    assert block_of(path) == block


@pytest.mark.parametrize("text", ["val_12", "onnx::MatMul_7", "/layers.0/Constant", "", "17", "_tensor_constant0"])
def test_anonymous(text):
    assert is_anonymous(text)


@pytest.mark.parametrize("text", ["value.weight", "model.layers.0.q.weight", "constants.weight", "tensor.bias"])
def test_not_anonymous(text):
    assert not is_anonymous(text)


ALLOWED = {"torch", "torch.nn.functional", "safetensors.torch", "pathlib", "typing"}
FORBIDDEN = {"exec", "eval", "open", "os", "compile", "__import__", "system", "subprocess", "globals"}


def check_source(text):
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert {a.name for a in node.names} <= ALLOWED
        if isinstance(node, ast.ImportFrom):
            assert node.module in ALLOWED
        if isinstance(node, ast.Call):
            assert not isinstance(node.func, ast.Name) or node.func.id not in FORBIDDEN
        if isinstance(node, ast.Name):
            assert node.id not in FORBIDDEN
    assert [type(n).__name__ for n in tree.body if not isinstance(n, (ast.Import, ast.ImportFrom))] == [
        "Expr",
        *(["ClassDef"] * sum(isinstance(n, ast.ClassDef) for n in tree.body)),
        "FunctionDef",
    ]


@settings(max_examples=50, deadline=None, phases=PHASES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(name, min_size=12, max_size=12), scope=name, dim=name)
def test_nothing_of_a_model_reaches_the_code_raw(build, names, scope, dim):
    distinct = [f"{n}{k}" if names.index(n) != k or not n else n for k, n in enumerate(names)]
    x_name, w_name, b_name, one, two, three, out, *nodes = distinct
    x = build.value(x_name, [dim or "d", 4])
    weight = build.initialiser(w_name, np.zeros((4, 4), np.float32))
    bias = build.initialiser(b_name, np.zeros(4, np.float32))
    chain = [
        build.node("MatMul", [x, weight], one, f"layers.0.{scope}"),
    ]
    chain.append(build.node("Add", [chain[0].outputs[0], bias], two, scope))
    chain.append(build.node("Relu", [chain[1].outputs[0]], three, scope))
    chain.append(build.node("Mul", [chain[2].outputs[0], chain[1].outputs[0]], out, scope))
    for node, text in zip(chain, nodes, strict=False):
        node.name = text
    chain[1].metadata_props["pkg.torch.onnx.name_scopes"] = scope
    model = build.model([x], chain, {out: ["d", 4], three: ["d", 4]})
    check_source(compose(model).text())


@given(text=name)
@settings(max_examples=30, deadline=None, phases=PHASES, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_hostile_attributes_are_refused_or_quoted(build, text):
    x = build.value("x", [4, 4])
    node = build.node("Einsum", [x, x], "y", equation=text)
    model = build.model([x], [node], {"y": [4, 4]})
    try:
        source = compose(model)
    except BackendError:
        return
    check_source(source.text())


@pytest.mark.parametrize("equation", ["....", "ab..,bc->ac", "a->b->c", "a;b", 'a"b', "a" * 2000])
def test_unsound_equations_are_refused_before_onnx_reads_them(build, equation):
    x = build.value("x", [4, 4])
    model = build.model([x], [build.node("Einsum", [x, x], "y", equation=equation)], {"y": [4, 4]})
    with pytest.raises(BackendError, match="its equation is not one of letters"):
        compose(model)
