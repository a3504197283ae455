"""Circuits as ONNX: any circuit in any blocks, run by onnxruntime beside numpy; through files, text and damage."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from qtnc.passes.lower_to_onnx import LowerToOnnx

from qtnc.errors import ImportModelError
from qtnc.ir.dialect import DOMAIN, attributes_of, blocks_of, circuit_of, define, is_circuit, product_call
from qtnc.ir.initializers import add_initializer
from qtnc.ir.text.printer import Printer, print_model
from qtnc.ir.text.reader import parse_model
from qtnc.ir.text.tensors import to_side_file
from qtnc.quantum.circuit import Circuit, run
from qtnc.quantum.gates import ANGLES
from qtnc.quantum.schedule import Blocks, fuse

Tensor = NDArray[np.floating[Any]]

TOLERANCE = {"float16": 2e-2, "float32": 1e-5, "float64": 1e-11}
"""Of a row's norm. In float16 every block rounds the state to 5e-4, and there are up to ten of them."""


@dataclass(frozen=True)
class Case:
    """A circuit, its gates in blocks, and how many axes lead."""

    circuit: Circuit
    blocks: Blocks
    lead: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Up to five qubits; gates in any order that the circuit allows, cut into blocks anywhere."""
    qubits = draw(st.integers(0, 5))
    ordered = st.permutations(range(qubits)).map(lambda order: (order[0], order[1]))
    pairs = draw(st.lists(ordered, max_size=8)) if qubits > 1 else []
    size = st.integers(1, 2**qubits)
    waiting, order = list(range(len(pairs))), []
    while waiting:
        free = [k for k in waiting if all(j >= k or not set(pairs[j]) & set(pairs[k]) for j in waiting)]
        order.append(draw(st.sampled_from(free)))
        waiting.remove(order[-1])
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(order) - 1))))) if order else []
    blocks = tuple(
        tuple(sorted(order[a:b])) for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True) if order[a:b]
    )
    return Case(Circuit(qubits, tuple(pairs), (draw(size), draw(size))), blocks, draw(st.integers(0, 3)))


def model_of(case: Case, angles: Tensor, axes: Sequence[int | str], constant: bool = True) -> ir.Model:
    """A model that is one call; its angles are a weight, or an input where that is asked."""
    dtype = ir.DataType.from_numpy(angles.dtype)
    x = ir.val("x", dtype, [*axes, case.circuit.features[0]])
    graph = ir.Graph([x], [], nodes=[], opset_imports={"": 18}, name="main")
    model = ir.Model(graph, ir_version=10)
    weight = add_initializer(model, "angles", angles) if constant else ir.val("angles", dtype, angles.shape)
    if not constant:
        graph.inputs.append(weight)
    node = product_call(model, "Circuit", "up.input", x, [weight], case.circuit, case.blocks)
    node.outputs[0].name = "y"
    graph.append(node)
    graph.outputs.append(node.outputs[0])
    return model


def outputs(model: ir.Model, **feeds: Tensor) -> Tensor:
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (y,) = session.run(None, feeds)
    return np.asarray(y)


def reference(circuit: Circuit, angles: Tensor, x: Tensor) -> Tensor:
    rows = x.reshape(-1, x.shape[-1]).astype(np.float64)
    return run(circuit, angles.astype(np.float64), rows).reshape(*x.shape[:-1], -1)


def agree(found: Tensor, want: Tensor, x: Tensor, tolerance: float) -> None:
    assert found.shape == want.shape
    assert found.dtype == x.dtype
    scale = max(1e-6, float(np.linalg.norm(x.astype(np.float64))))
    assert np.linalg.norm(found.astype(np.float64) - want) <= tolerance * scale


@given(
    case=cases(),
    dtype=st.sampled_from(["float16", "float32", "float64"]),
    symbolic=st.booleans(),
    constant=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=80, deadline=None)
def test_a_call_computes_its_circuit(case: Case, dtype: str, symbolic: bool, constant: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    circuit = case.circuit
    sizes = tuple(map(int, rng.integers(1, 4, case.lead)))
    angles = rng.uniform(-np.pi, np.pi, (circuit.gates, ANGLES)).astype(dtype)
    axes: tuple[int | str, ...] = ("batch", "heads", "seq")[: case.lead] if symbolic else sizes
    model = model_of(case, angles, axes, constant)
    # Attributes say everything, through a file as well.
    for (node,) in (model.graph, ir.from_proto(ir.to_proto(model)).graph):
        assert is_circuit(node)
        assert circuit_of(node) == circuit
        assert blocks_of(node) == case.blocks
    x = rng.standard_normal((*sizes, circuit.features[0])).astype(dtype)
    feeds = {"x": x} if constant else {"x": x, "angles": angles}
    want = reference(circuit, angles, x)
    agree(outputs(model, **feeds), want, x, TOLERANCE[dtype])
    lowered = LowerToOnnx().run(model).model
    assert {node.domain for node in lowered.graph} == {""}
    assert not lowered.functions
    agree(outputs(lowered, **feeds), want, x, TOLERANCE[dtype])


BRICKS = Circuit(3, ((0, 1), (1, 2), (0, 1)), (7, 5))


@pytest.mark.parametrize("width", [2, 3])
def test_one_body_serves_every_batch_and_sequence(width: int) -> None:
    rng = np.random.default_rng(0)
    angles = rng.standard_normal((3, ANGLES))
    model = model_of(Case(BRICKS, fuse(BRICKS, width), 2), angles, ["batch", "seq"])
    assert model.graph[0].outputs[0].shape == ir.Shape(["batch", "seq", 5])
    for lead in ((1, 1), (5, 1), (2, 9)):
        x = rng.standard_normal((*lead, 7))
        agree(outputs(model, x=x), reference(BRICKS, angles, x), x, 1e-12)


def test_new_blocks_need_a_new_body() -> None:
    rng = np.random.default_rng(0)
    angles = rng.standard_normal((3, ANGLES))
    model = model_of(Case(BRICKS, fuse(BRICKS, 2), 1), angles, ["batch"])
    node = model.graph[0]
    node.attributes.update(attributes_of(BRICKS, ((0, 1, 2),)))
    define(model, node)
    x = rng.standard_normal((4, 7))
    agree(outputs(model, x=x), reference(BRICKS, angles, x), x, 1e-12)
    (function,) = model.functions.values()
    assert function.identifier() == (DOMAIN, "Circuit", "up.input")
    # The register is one matrix: what it computes is multiplied in one step, and cut.
    assert [node.op_type for node in function][-2:] == ["MatMul", "Slice"]


def test_the_angles_are_the_only_weight() -> None:
    """Nothing that grows with the register is stored: a file of a circuit is as small as its angles."""
    circuit = Circuit(10, tuple((k, k + 1) for k in range(9)), (1024, 1024))
    angles = np.zeros((9, ANGLES), np.float32)
    for blocks in (fuse(circuit, 2), fuse(circuit, 10)):
        model = model_of(Case(circuit, blocks, 1), angles, ["batch"])
        assert len(ir.to_proto(model).SerializeToString()) < 40_000
        lowered = LowerToOnnx().run(model).model
        assert max(value.const_value.size for value in lowered.graph.initializers.values()) <= 64 * 16


def test_without_gates_it_pads_and_cuts(caplog: pytest.LogCaptureFixture) -> None:
    angles = np.zeros((0, ANGLES))
    x = np.random.default_rng(0).standard_normal((2, 6))
    for features, ops in (((6, 8), ["Pad"]), ((6, 3), ["Pad", "Slice"]), ((8, 8), ["Identity"]), ((8, 5), ["Slice"])):
        circuit = Circuit(3, (), features)
        model = model_of(Case(circuit, (), 1), angles, ["batch"])
        (function,) = model.functions.values()
        assert [node.op_type for node in function if node.op_type != "Constant"] == ops
        given = np.pad(x, ((0, 0), (0, features[0] - 6)))
        np.testing.assert_array_equal(outputs(model, x=given), np.pad(x, ((0, 0), (0, 2)))[:, : features[1]])
    assert not caplog.records  # onnx_ir wonders about the type of empty attributes, unless it is told


@given(case=cases(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_text_says_all_of_it(case: Case, seed: int) -> None:
    rng = np.random.default_rng(seed)
    angles = rng.standard_normal((case.circuit.gates, ANGLES)).astype(np.float32)
    model = model_of(case, angles, ("batch", "heads", "seq")[: case.lead])
    printer = Printer(model, metadata=True)
    text = printer.text()
    assert "function" not in text  # its body follows from the attributes
    again = parse_model(text, {key: to_side_file(tensor) for key, tensor in printer.tensors.items()})
    assert print_model(again, metadata=True) == text
    assert circuit_of(again.graph[0]) == case.circuit
    assert blocks_of(again.graph[0]) == case.blocks
    x = rng.standard_normal((*(2,) * case.lead, case.circuit.features[0])).astype(np.float32)
    np.testing.assert_array_equal(outputs(again, x=x), outputs(model, x=x))


TEXT = """qir 1
model opset {"": 18, "qtn": 1} ir 10
graph g(%x: f32[n, 7]) -> (%y: f32[n, 5]) {
  weight %a: f32[2, 6] = normal(0)
  %y = qtn.Circuit["up.input"](%x, %a)
    {qubits = 3, pairs = [0, 1, 1, 2], features = [7, 5], blocks = [0, 1]} : f32[n, 5]
}
"""


def test_text_by_hand() -> None:
    model = parse_model(TEXT)
    angles = model.graph.initializers["a"].const_value.numpy()
    x = np.random.default_rng(0).standard_normal((4, 7)).astype(np.float32)
    agree(outputs(model, x=x), reference(Circuit(3, ((0, 1), (1, 2)), (7, 5)), angles, x), x, 1e-5)


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("blocks = [0, 1]", "blocks = [1, 0]", "gate 0 comes after gate 1, which follows it on qubit 1"),
        ("blocks = [0, 1]", "blocks = [0]", "blocks hold the gates [0], the circuit has 2"),
        ("blocks = [0, 1]", "blocks = [0, 1, 1]", "blocks hold the gates [0, 1, 2], the circuit has 2"),
        ("1, 2]", "1, 3]", "a gate on qubits (1, 3) of a register of 3"),
        ("1, 2]", "1, -1]", "a gate on qubits (1, -1) of a register of 3"),
        ("1, 2]", "1, 1]", "a gate on qubits (1, 1) of a register of 3"),
        ("1, 2]", "1]", "zip() argument 2 is shorter"),
        ("[7, 5]", "[9, 5]", "3 qubits do not hold the features (9, 5)"),
        ("[7, 5]", "[7, 0]", "3 qubits do not hold the features (7, 0)"),
        ("[7, 5]", "[7]", "not enough values"),
        ("qubits = 3", "qubits = -1", "a register of -1 qubits"),
        ("qubits = 3", "qubits = 64", "a register of 64 qubits"),
        ("qubits = 3", "qubits = 4611686018427387904", "a register of 4611686018427387904 qubits"),
        ("qubits = 3", "qubits = 3.0", "Attribute 'qubits' is not of type INT"),
        ("qubits = 3, ", "", "error: qtn node '' has no attribute 'qubits'"),
        (", blocks = [0, 1]", "", "error: qtn node '' has no attribute 'blocks'"),
        ("(%x, %a)", "(_, %a)", "error: the rank of the input of qtn node '' is unknown"),
    ],
)
def test_damaged_text_is_told_with_its_place(right: str, wrong: str, said: str) -> None:
    assert right in TEXT
    with pytest.raises(ImportModelError) as caught:
        parse_model(TEXT.replace(right, wrong))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.span is not None
    assert (diagnostic.span.line, diagnostic.span.column) == (5, 3)
    assert diagnostic.message.startswith(f"this node is no circuit: {said}")
