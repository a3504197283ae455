"""Circuits as torch code: against numpy, under autograd, torch.export and torch.compile, with names of any kind."""

import ast
from functools import reduce

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from qtnc.passes.matmul_to_circuit import MatmulToCircuit

from qtnc.backends.torch.rotation import rotate, so4
from qtnc.quantum import gates
from qtnc.quantum.circuit import Circuit, run
from qtnc.quantum.layout import LAYOUTS, layers
from qtnc.rewrite.decision import Decision
from qtnc.structures.circuit import Circuits
from qtnc.structures.mpo import Mpo

SINGLE = 1e-5
"""Of the norm of x; a dozen gates of float32."""

DOUBLE = 1e-12


def drawn(layout, qubits, depth, features=None):
    pairs = tuple(
        p for layer in layers(layout, [0] * (qubits // 2) + [1] * (qubits - qubits // 2), depth) for p in layer
    )
    return Circuit(qubits, pairs, features or (2**qubits, 2**qubits))


CIRCUITS = {
    "one-gate": Circuit(2, ((0, 1),), (4, 4)),
    "turned-round": Circuit(3, ((2, 0), (1, 2)), (8, 8)),
    "brickwall": drawn("brickwall", 4, 3),
    "cross": drawn("cross", 5, 2),
    "padded": drawn("cross", 4, 2, (11, 16)),
    "cut": drawn("cross", 4, 2, (16, 9)),
    "padded-and-cut": drawn("brickwall", 4, 2, (5, 7)),
    "no-gates": Circuit(3, (), (6, 7)),
}


def made(build, circuit, rng, axes=("batch", "sequence"), path="layers.0.up", x="x"):
    angles = rng.uniform(-np.pi, np.pi, (circuit.gates, gates.ANGLES)).astype(np.float32)
    x = build.value(x, [*axes, circuit.features[0]])
    weight = build.initialiser(f"{path}.input_angles", angles)
    node = build.circuit(x, weight, circuit, "y", path, "input")
    return build.model([x], [node], {"y": [*axes, circuit.features[1]]}), angles


def reference(circuit, angles, x):
    rows = x.reshape(-1, x.shape[-1]).astype(np.float64)
    return run(circuit, angles.astype(np.float64), rows).reshape(*x.shape[:-1], -1)


def near(found, want, x, tolerance):
    assert found.shape == want.shape
    assert np.linalg.norm(found.detach().numpy() - want) <= tolerance * np.linalg.norm(x)


@given(angles=arrays(np.float64, (3, gates.ANGLES), elements=st.floats(-20, 20)))
@settings(max_examples=50, deadline=None)
def test_quaternions_make_the_same_gates(angles):
    np.testing.assert_allclose(so4(torch.from_numpy(angles)).numpy(), gates.so4(angles), atol=1e-13)


def test_zero_angles_make_the_identity_to_the_bit():
    assert torch.equal(so4(torch.zeros(2, gates.ANGLES)), torch.eye(4).expand(2, 4, 4))


def test_derivatives_are_those_of_finite_differences():
    rng = np.random.default_rng(0)
    x, angles = (torch.tensor(rng.standard_normal(shape), requires_grad=True) for shape in ((2, 8), (3, gates.ANGLES)))
    assert torch.autograd.gradcheck(lambda x, angles: rotate(x, angles, ((0, 1), (1, 2), (2, 0))), (x, angles))


@pytest.mark.parametrize("lead", [(), (3,), (2, 3), (2, 1, 3)])
@pytest.mark.parametrize("name", CIRCUITS)
def test_it_computes_its_circuit(build, emit, name, lead):
    circuit = CIRCUITS[name]
    rng = np.random.default_rng(3)
    model, angles = made(build, circuit, rng, ("batch", "heads", "sequence")[: len(lead)])
    module = emit(model)
    x = rng.standard_normal((*lead, circuit.features[0]))
    want = reference(circuit, angles, x)
    near(module(torch.from_numpy(x).float()), want, x, SINGLE)
    near(module.double()(torch.from_numpy(x)), want, x, DOUBLE)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 1e-2), (torch.bfloat16, 1e-1)])
def test_it_runs_in_half_precision(build, emit, dtype, tolerance):
    """A dozen gates, each rounding angles and state to 5e-4 or 4e-3."""
    circuit = CIRCUITS["cross"]
    rng = np.random.default_rng(3)
    model, angles = made(build, circuit, rng)
    x = rng.standard_normal((2, 3, circuit.features[0]))
    y = emit(model).to(dtype)(torch.from_numpy(x).to(dtype))
    assert y.dtype == dtype
    near(y.double(), reference(circuit, angles, x), x, tolerance)


@pytest.mark.parametrize(
    ("name", "scale"),
    [(name, 1.0) for name, circuit in CIRCUITS.items() if circuit.gates]
    # Where x is padded and y cut, some directions at the identity lead from zeros to what is cut.
    + [(name, 0.0) for name, circuit in CIRCUITS.items() if circuit.gates and min(circuit.features) > 8],
)
def test_every_angle_has_a_derivative(build, emit, name, scale):
    """At zero angles as well, from where training may start."""
    circuit = CIRCUITS[name]
    model, _ = made(build, circuit, np.random.default_rng(3))
    module = emit(model).double()
    (angles,) = module.parameters()
    with torch.no_grad():
        angles.mul_(scale)
    torch.manual_seed(0)
    x = torch.randn(2, 3, circuit.features[0], dtype=torch.float64)
    y = module(x)
    y.backward(torch.randn_like(y))
    assert angles.grad.shape == (circuit.gates, gates.ANGLES)
    assert (angles.grad.abs() > 1e-6).all()


@pytest.mark.parametrize("name", ["cross", "padded-and-cut", "no-gates"])
def test_export_and_compile(build, emit, name):
    circuit = CIRCUITS[name]
    module = emit(made(build, circuit, np.random.default_rng(3))[0])
    x, other = torch.randn(2, 3, circuit.features[0]), torch.randn(4, 5, circuit.features[0])
    dims = {0: torch.export.Dim("batch", min=2, max=8), 1: torch.export.Dim("sequence", min=2, max=8)}
    program = torch.export.export(module, (x,), dynamic_shapes=(dims,)).module()
    torch.testing.assert_close(program(other), module(other))
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    for given_ in (x, other):
        torch.testing.assert_close(compiled(given_), module(given_))


def around(build, angles, layout="cross", path="up"):
    """A product of 6 by 10, made by the pass: circuits on 3 and 4 qubits around an operator of two sites."""
    inner = Mpo(sites=((4, 4), (2, 4)), bonds=(3,))
    sides = (layers(layout, (0, 0, 1), 2), layers(layout, (0, 0, 1, 1), 2))
    counts = [sum(map(len, side)) for side in sides]
    placed = angles[: counts[0]], angles[counts[0] : sum(counts)]
    structure = Circuits(depth=2, layout=layout, inner=inner, sides=sides, angles=placed)
    rng = np.random.default_rng(0)
    x = build.value("x", ["batch", 6])
    weight = build.initialiser(f"{path}.weight", rng.standard_normal((6, 10)).astype(np.float32))
    node = build.node("MatMul", [x, weight], "y", path)
    model = build.model([x], [node], {"y": ["batch", 10]})
    return MatmulToCircuit((Decision(path, structure),)).run(model).model


@pytest.mark.parametrize("layout", LAYOUTS)
def test_zero_angles_are_the_operator_alone_to_the_bit(build, emit, layout):
    module = emit(around(build, np.zeros((9, gates.ANGLES)), layout))
    x = torch.randn(5, 6)
    first = torch.einsum(
        "...ab,acd->...bcd", torch.nn.functional.pad(x, (0, 2)).unflatten(-1, (4, 2)), module.up_core_0
    )
    operator = torch.einsum("...abc,cad->...bd", first, module.up_core_1).flatten(-2)[..., :10]
    assert torch.equal(module(x), operator)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layer_is_three_factors(build, emit, layout):
    rng = np.random.default_rng(1)
    module = emit(around(build, rng.standard_normal((9, gates.ANGLES)), layout)).double()
    weights = {name: value.detach().numpy() for name, value in module.named_parameters()}
    assert {name: value.shape for name, value in weights.items() if "angles" not in name} == {
        "up_core_0": (4, 4, 3),
        "up_core_1": (3, 2, 4),
    }
    rows, columns = layers(layout, (0, 0, 1), 2), layers(layout, (0, 0, 1, 1), 2)
    first = Circuit(3, tuple(pair for layer in rows[::-1] for pair in layer), (6, 8))
    last = Circuit(4, tuple(pair for layer in columns for pair in layer), (16, 10))
    core = np.einsum("acr,rbd->abcd", weights["up_core_0"], weights["up_core_1"]).reshape(8, 16)
    x = rng.standard_normal((5, 6))
    factors = [run(first, weights["up_input_angles"], np.eye(6)), core]
    want = run(last, weights["up_output_angles"], reduce(np.matmul, [x, *factors]))
    near(module(torch.from_numpy(x)), want, x, DOUBLE * np.linalg.norm(core))


def test_equal_layouts_share_a_table(build, emit, tmp_path):
    circuit, other = drawn("cross", 4, 2), drawn("brickwall", 4, 2)
    rng = np.random.default_rng(0)
    value = x = build.value("x", ["batch", 16])
    nodes, want = [], rng.standard_normal((3, 16))
    given_ = torch.from_numpy(want)
    for k, held in enumerate((circuit, other, circuit)):
        angles = rng.standard_normal((held.gates, gates.ANGLES)).astype(np.float32)
        weight = build.initialiser(f"layers.{k}.angles", angles)
        nodes.append(build.circuit(value, weight, held, f"y{k}", f"layers.{k}"))
        value, want = nodes[-1].outputs[0], reference(held, angles, want)
    module = emit(build.model([x], nodes, {"y2": ["batch", 16]}))
    text = (tmp_path / "model.py").read_text()
    assert [text.count(f"{table} = (") for table in ("_PAIRS_0", "_PAIRS_1", "_PAIRS_2")] == [1, 1, 0]
    assert [text.count(f"{table})") for table in ("_PAIRS_0", "_PAIRS_1")] == [2, 1]
    assert text.count("def rotate(") == text.count("def so4(") == 1
    near(module.double()(given_), want, want, DOUBLE)


def test_the_table_has_a_line_for_gates_of_one_moment(build, emit, tmp_path):
    emit(made(build, drawn("cross", 4, 2), np.random.default_rng(0))[0])
    assert "_PAIRS_0 = (\n    (0, 2), (1, 3),\n    (0, 3), (1, 2),\n)\n" in (tmp_path / "model.py").read_text()


def test_it_says_what_it_is(build, emit, tmp_path):
    emit(made(build, CIRCUITS["padded"], np.random.default_rng(3))[0])
    text = (tmp_path / "model.py").read_text()
    assert "# Circuit layers.0.up.input: 11 -> 16, 4 gates in 2 layers on 4 qubits, 24 angles\n" in text
    assert "rotate(F.pad(x, (0, 5)), self.layers_0_up_input_angles, _PAIRS_0)" in text


def test_models_without_circuits_carry_no_code_of_circuits(build, emit, tmp_path):
    emit(made(build, CIRCUITS["no-gates"], np.random.default_rng(3))[0])
    text = (tmp_path / "model.py").read_text()
    assert "rotate" not in text
    assert "Sequence" not in text


@pytest.mark.parametrize(
    "name",
    [
        "rotate",
        "so4",
        "_PAIRS_0",
        "Sequence",
        "n",
        "class.rotate",
        '"""; import os; os.system("x")  #',
        "a\nimport os",
        "\0" + "0\0",
        "变量.input",
        "x" * 10_000,
        "..",
    ],
)
def test_hostile_names_are_harmless(build, emit, tmp_path, name):
    circuit = CIRCUITS["padded-and-cut"]
    rng = np.random.default_rng(3)
    model, angles = made(build, circuit, rng, path=name, x=name)
    model.graph[0].name = name
    module = emit(model)
    tree = ast.parse((tmp_path / "model.py").read_text())
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert modules == {"torch", "torch.nn.functional"}
    x = rng.standard_normal((2, 3, 5))
    near(module(torch.from_numpy(x).float()), reference(circuit, angles, x), x, SINGLE)


@pytest.mark.parametrize(("layer", "role"), [("up", "input"), ("up:2", "input"), ("up", ""), ("down", "input")])
def test_locals_are_named_by_layer_and_role(build, emit, tmp_path, layer, role):
    x = build.value("x", ["batch", 16])
    weight = build.initialiser("up.angles", np.zeros((4, gates.ANGLES), np.float32))
    turned = build.circuit(x, weight, drawn("cross", 4, 2), "up.input.product", "up")
    turned.overload = f"{layer}.{role}" if role else layer
    total = build.node("Add", [turned.outputs[0], turned.outputs[0]], "y", "up")
    emit(build.model([x], [turned, total], {"y": ["batch", 16]}))
    hint = f"up_{role}" if layer.startswith("up") and role else "up_product"
    assert f"{hint} = rotate(x, self.up_angles, _PAIRS_0)" in (tmp_path / "model.py").read_text()
