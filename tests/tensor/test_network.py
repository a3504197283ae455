"""Networks as text, as counts and as graphs."""

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtnc.tensor.network import TensorNetwork

CHAIN = TensorNetwork(
    (("m0", "m1"), ("m0", "n0", "r1"), ("r1", "m1", "n1")),
    ("n0", "n1"),
    {"m0": 2, "m1": 3, "n0": 4, "n1": 5, "r1": 7},
    (6, 20),
)


def test_the_equation_is_readable() -> None:
    assert CHAIN.equation == "m0 m1, m0 n0 r1, r1 m1 n1 -> n0 n1"
    assert CHAIN.mode_sizes == (2, 3, 4, 7, 5)
    assert CHAIN.core_shapes == ((2, 4, 7), (7, 3, 5))
    assert CHAIN.parameters == 2 * 4 * 7 + 7 * 3 * 5


names = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=3)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_text_and_sizes_say_everything(data: st.DataObject) -> None:
    indices = data.draw(st.lists(names, min_size=1, max_size=8, unique=True))
    sizes = {i: data.draw(st.integers(1, 9)) for i in indices}
    some = st.lists(st.sampled_from(indices), unique=True, max_size=4).map(tuple)
    inputs = tuple(data.draw(st.lists(some, min_size=1, max_size=4)))
    named = sorted({i for part in inputs for i in part})
    output = tuple(data.draw(st.lists(st.sampled_from(named), unique=True))) if named else ()
    network = TensorNetwork(inputs, output, {i: sizes[i] for i in named}, (1, 1))
    again = TensorNetwork.parse(network.equation, network.mode_sizes, network.features)
    assert (again.inputs, again.output, dict(again.size_dict)) == (inputs, output, {i: sizes[i] for i in named})
    assert again.equation == network.equation


@pytest.mark.parametrize("features", [(7, 20), (6, 21)])
def test_modes_that_do_not_hold_the_features_are_refused(features: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="do not hold the features"):
        TensorNetwork(CHAIN.inputs, CHAIN.output, CHAIN.size_dict, features)


def test_the_graph_has_tensors_and_shared_indices() -> None:
    graph = CHAIN.graph()
    assert set(graph.nodes) == {"x", "core 0", "core 1", "y"}
    edges = {(frozenset((a, b)), key): size for a, b, key, size in graph.edges(keys=True, data="size")}
    assert edges == {
        (frozenset(("x", "core 0")), "m0"): 2,
        (frozenset(("x", "core 1")), "m1"): 3,
        (frozenset(("core 0", "y")), "n0"): 4,
        (frozenset(("core 1", "y")), "n1"): 5,
        (frozenset(("core 0", "core 1")), "r1"): 7,
    }
    assert nx.is_connected(nx.Graph(graph))
