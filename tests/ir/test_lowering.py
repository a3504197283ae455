"""The one lowering: any network along any order, run by onnxruntime beside one einsum; and the dialect around it."""

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx_ir.passes.common import InlinePass

from qtnc.errors import InternalError
from qtnc.ir.dialect import DOMAIN, define, is_qtn, network_of, path_of, product_call
from qtnc.tensor.network import TensorNetwork
from qtnc.tensor.order import Path

Tensor = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A network or a stack of them, an order, and the rank of x."""

    network: TensorNetwork
    path: Path
    rank: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Networks with bonds, with modes on any core, on two cores, or on none; padded and cut; along any order."""
    count = draw(st.integers(1, 4))
    size = st.integers(1, 3)
    parts: list[list[str]] = [[] for _ in range(count)]
    sizes: dict[str, int] = {}
    x_modes, y_modes = [], []

    def place(index: str, most: int) -> None:
        sizes[index] = draw(size)
        for core in draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=most, unique=True)):
            parts[core].append(index)

    for k in range(draw(st.integers(1, 3))):
        place(f"m{k}", 2)
        x_modes.append(f"m{k}")
    for k in range(draw(st.integers(1, 2))):
        place(f"n{k}", 2)
        y_modes.append(f"n{k}")
    if draw(st.booleans()):
        # A mode that x hands to y, as the blocks of a block-diagonal matrix do.
        place("b", 1)
        x_modes.insert(draw(st.integers(0, len(x_modes))), "b")
        y_modes.insert(draw(st.integers(0, len(y_modes))), "b")
    for k in range(1, count):
        sizes[f"r{k}"] = draw(size)
        parts[k].append(f"r{k}")
        parts[draw(st.integers(0, k - 1))].append(f"r{k}")
    cores = [tuple(draw(st.permutations(part))) for part in parts]
    M, N = (prod(sizes[i] for i in modes) for modes in (x_modes, y_modes))
    features = (draw(st.integers(max(1, M - 2), M)), draw(st.integers(max(1, N - 2), N)))
    stack = draw(st.sampled_from([(), (), (1,), (2,), (5,), (2, 3), (1, 2)]))
    network = TensorNetwork((tuple(x_modes), *cores), tuple(y_modes), sizes, features, stack)
    alive, path = list(range(count + 1)), []
    while len(alive) > 1:
        a, b = draw(st.permutations(alive))[:2]
        path.append((a, b))
        alive = [i for i in alive if i not in (a, b)] + [count + len(path)]
    return Case(network, tuple(path), draw(st.integers(2 if stack else 1, 4)))


def reference(network: TensorNetwork, x: Tensor, cores: list[Tensor]) -> Tensor:
    """One einsum over padded x, cut; in a stack one for each network, as numpy broadcasts a product of matrices."""
    if network.stack:
        single = replace(network, stack=())
        outer = np.broadcast_shapes(x.shape[:-2], network.stack)
        rows = np.broadcast_to(x, (*outer, *x.shape[-2:]))
        y = np.empty((*outer, x.shape[-2], network.features[1]))
        for place in np.ndindex(outer):
            slices = [core[place[len(outer) - len(network.stack) :]] for core in cores]
            y[place] = reference(single, rows[place], slices)
        return y
    modes = network.sizes(network.inputs[0])
    rows = x.reshape(-1, x.shape[-1])
    padded = np.zeros((len(rows), prod(modes)))
    padded[:, : x.shape[-1]] = rows
    number = {name: k + 1 for k, name in enumerate(network.size_dict)}
    operands: list[Any] = [padded.reshape(-1, *modes), [0, *(number[i] for i in network.inputs[0])]]
    for core, indices in zip(cores, network.inputs[1:], strict=True):
        operands += [core, [number[i] for i in indices]]
    y = np.einsum(*operands, [0, *(number[i] for i in network.output)])
    return np.asarray(y).reshape(len(rows), -1)[:, : network.features[1]].reshape(*x.shape[:-1], -1)


def model_of(network: TensorNetwork, path: Path, lead: list[int | str]) -> ir.Model:
    """A model that is one call, x and the cores its inputs."""
    x = ir.val("x", ir.DataType.DOUBLE, [*lead, network.features[0]])
    cores = [ir.val(f"c{k}", ir.DataType.DOUBLE, list(shape)) for k, shape in enumerate(network.core_shapes)]
    graph = ir.Graph([x, *cores], [], nodes=[], opset_imports={"": 18}, name="main")
    model = ir.Model(graph, ir_version=10)
    node = product_call(model, "MPO", "layer", x, cores, network, path)
    node.outputs[0].name = "y"
    graph.append(node)
    graph.outputs.append(node.outputs[0])
    return model


def run(model: ir.Model, feeds: dict[str, Tensor]) -> Tensor:
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (y,) = session.run(None, feeds)
    return np.asarray(y)


@given(case=cases(), symbolic=st.booleans(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_a_call_computes_its_network(case: Case, symbolic: bool, seed: int) -> None:
    network = case.network
    rng = np.random.default_rng(seed)
    lead = [int(size) for size in rng.integers(1, 4, case.rank - 1)]
    for k in range(1, min(len(network.stack), case.rank - 2) + 1):  # these meet the stack: its size, or broadcast
        lead[-1 - k] = network.stack[-k] if network.stack[-k] == 1 or rng.integers(2) else 1
    names: list[int | str] = ["batch", "heads", "seq"]
    model = model_of(network, case.path, names[: len(lead)] if symbolic else [int(s) for s in lead])
    (node,) = model.graph
    assert is_qtn(node)
    # Attributes say everything, through a file as well.
    again = ir.from_proto(ir.to_proto(model)).graph[0]
    for read in (node, again):
        assert path_of(read) == case.path
        told = network_of(read)
        assert (told.inputs, told.output, told.features) == (network.inputs, network.output, network.features)
        assert told.stack == network.stack
        assert dict(told.size_dict) == dict(network.size_dict)
    assert node.outputs[0].shape is not None
    assert node.outputs[0].shape[-1] == network.features[1]

    x = rng.standard_normal((*lead, network.features[0]))
    cores = [rng.standard_normal(shape) for shape in network.core_shapes]
    feeds = {"x": x, **{f"c{k}": core for k, core in enumerate(cores)}}
    expected = reference(network, x, cores)
    if not symbolic:
        assert tuple(node.outputs[0].shape) == expected.shape
    # float64 sums of at most 3^9 products, each of size about 1.
    np.testing.assert_allclose(run(model, feeds), expected, atol=1e-10)


def test_one_body_serves_every_batch_and_sequence() -> None:
    sizes = {"m0": 2, "m1": 3, "n0": 4, "n1": 5, "r1": 7}
    network = TensorNetwork((("m0", "m1"), ("m0", "n0", "r1"), ("r1", "m1", "n1")), ("n0", "n1"), sizes, (6, 20))
    rng = np.random.default_rng(0)
    cores = [rng.standard_normal(shape) for shape in network.core_shapes]
    for path in (((0, 1), (2, 3)), ((1, 2), (0, 3))):
        model = model_of(network, path, ["batch", "seq"])
        for lead in ((1, 1), (5, 1), (2, 9)):
            x = rng.standard_normal((*lead, 6))
            got = run(model, {"x": x, "c0": cores[0], "c1": cores[1]})
            np.testing.assert_allclose(got, reference(network, x, cores), atol=1e-12)


def test_the_body_has_standard_operators_only_and_nothing_in_vain() -> None:
    sizes = {"m": 6, "r": 2, "n": 5}
    network = TensorNetwork((("m",), ("m", "r"), ("r", "n")), ("n",), sizes, (6, 5))
    model = model_of(network, ((0, 1), (2, 3)), ["batch", "seq"])
    (function,) = model.functions.values()
    # Low rank is two products of matrices; no reshape, transpose or constant is left.
    assert [node.op_type for node in function] == ["MatMul", "MatMul"]
    assert function.identifier() == (DOMAIN, "MPO", "layer")
    inlined = InlinePass()(ir.from_proto(ir.to_proto(model))).model
    assert {node.domain for node in inlined.graph} == {""}


def test_a_new_path_needs_a_new_body() -> None:
    sizes = {"m": 6, "r": 2, "n": 5}
    network = TensorNetwork((("m",), ("m", "r"), ("r", "n")), ("n",), sizes, (6, 5))
    model = model_of(network, ((0, 1), (2, 3)), ["batch"])
    node = model.graph[0]
    node.attributes["path"] = ir.AttrInt64s("path", [1, 2, 0, 3])
    define(model, node)
    rng = np.random.default_rng(0)
    x, a, b = rng.standard_normal((3, 6)), rng.standard_normal((6, 2)), rng.standard_normal((2, 5))
    np.testing.assert_allclose(run(model, {"x": x, "c0": a, "c1": b}), x @ a @ b, atol=1e-13)
    assert len(model.functions) == 1


def test_a_damaged_node_is_told_by_name() -> None:
    sizes = {"m": 6, "r": 2, "n": 5}
    network = TensorNetwork((("m",), ("m", "r"), ("r", "n")), ("n",), sizes, (6, 5))
    node = model_of(network, ((0, 1), (2, 3)), ["batch"]).graph[0]
    node.name = "head"
    for attribute in ("path", "equation"):
        del node.attributes[attribute]
        with pytest.raises(InternalError, match=f"'head' has no attribute '{attribute}'"):
            (path_of if attribute == "path" else network_of)(node)
