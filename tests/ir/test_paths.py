"""Which layers a path leads from and to, against a walk over the values of a model; through branches too."""

from collections.abc import Sequence
from types import ModuleType

import onnx
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from qtnc.ir.layers import find_layers
from qtnc.ir.paths import LayerPaths

Inputs = Sequence[Sequence[int]]
"""Of every product, the earlier ones whose sum it reads; of none, the input."""


def paths_of(proto: onnx.ModelProto) -> LayerPaths:
    model = ir.from_proto(proto)
    return LayerPaths(model, find_layers(model))


def products(toys: ModuleType, inputs: Inputs) -> onnx.ModelProto:
    nodes, weights = [], []
    for k, sources in enumerate(inputs):
        nodes.append(helper.make_node("Sum", [f"y{s}" for s in sources] or ["x"], [f"x{k}"]))
        nodes.append(helper.make_node("MatMul", [f"x{k}", f"w{k}"], [f"y{k}"]))
        weights.append(toys.weight(f"w{k}", 3, 3))
    outputs = [toys.value(f"y{k}", ["b", 3]) for k in range(len(inputs))]
    return toys.model(nodes, [toys.value("x", ["b", 3])], outputs, weights)


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_reachability(toys: ModuleType, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 7))
    inputs = [sorted(data.draw(st.sets(st.integers(0, k - 1), max_size=3))) if k else [] for k in range(size)]
    before: list[set[int]] = []
    for sources in inputs:
        before.append(set(sources).union(*(before[s] for s in sources)))
    paths = paths_of(products(toys, inputs))
    asked = data.draw(st.sets(st.integers(0, size - 1)))
    names = frozenset(f"w{k}" for k in asked)
    up = {f"w{s}" for k in asked for s in before[k]}
    down = {f"w{k}" for k in range(size) if before[k] & asked}
    assert paths.upstream(names) == up
    assert paths.downstream(names) == down
    assert paths.upstream(names) is paths.upstream(names)


def test_branches_read_what_is_outside(toys: ModuleType) -> None:
    """``up`` is read in both branches of an If alone, and what leaves the If is read by a Loop, then by ``head``."""
    proto = toys.branching()
    (y,) = proto.graph.output
    proto.graph.node.append(helper.make_node("MatMul", [y.name, "head.weight"], ["z"], name="head"))
    proto.graph.initializer.append(toys.weight("head.weight", 16, 16))
    paths = paths_of(proto)
    assert paths.upstream(frozenset({"head"})) == {"up"}
    assert paths.downstream(frozenset({"up"})) == {"head"}
    assert paths.downstream(frozenset({"head"})) == paths.upstream(frozenset()) == frozenset()


def test_the_graph_is_read_when_it_is_asked_for(toys: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    import networkx as nx

    monkeypatch.setattr(nx, "DiGraph", None)
    with pytest.raises(TypeError):
        paths_of(toys.mlp()).upstream(frozenset({"up"}))
    paths_of(toys.mlp())
