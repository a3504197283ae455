"""Paths in the graph of a model, between its layers."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cached_property
from typing import Any

import networkx as nx
import onnx_ir as ir

from qtnc.ir.bodies import read_by
from qtnc.ir.layers import Layer


class GraphPaths:
    """Which layers a path leads from or to. The graph is read when first asked for, and every answer kept.

    ``nodes`` has the node of every layer, ``flow`` the graph of all nodes, each before those that use what it computes.
    """

    def __init__(self, nodes: Mapping[str, Hashable], flow: "Callable[[], nx.DiGraph[Any]]") -> None:
        self._nodes = nodes
        self._names = {node: name for name, node in nodes.items()}
        self._flow = flow
        self._known: dict[tuple[str, frozenset[str]], frozenset[str]] = {}

    def upstream(self, names: frozenset[str]) -> frozenset[str]:
        """Layers from which a path of an edge or more leads to one of these."""
        return self._reached("upstream", self._backwards, names)

    def downstream(self, names: frozenset[str]) -> frozenset[str]:
        """Layers to which a path of an edge or more leads from one of these."""
        return self._reached("downstream", self._forwards, names)

    @cached_property
    def _forwards(self) -> "nx.DiGraph[Any]":
        return self._flow()

    @cached_property
    def _backwards(self) -> "nx.DiGraph[Any]":
        return self._forwards.reverse(copy=False)

    def _reached(self, way: str, graph: "nx.DiGraph[Any]", names: frozenset[str]) -> frozenset[str]:
        if (way, names) not in self._known:
            starts = {after for name in names for after in graph.successors(self._nodes[name])}
            reached = nx.multi_source_dijkstra_path_length(graph, starts) if starts else {}
            self._known[way, names] = frozenset(self._names[node] for node in reached if node in self._names)
        return self._known[way, names]


class LayerPaths(GraphPaths):
    """Paths between the layers of a model."""

    def __init__(self, model: ir.Model, layers: Sequence[Layer]) -> None:
        super().__init__({layer.name: layer.node for layer in layers}, lambda: flow(model))


def flow(model: ir.Model) -> "nx.DiGraph[ir.Node]":
    """Nodes of the main graph, each before those that use what it computes."""
    graph: nx.DiGraph[ir.Node] = nx.DiGraph()
    for node in model.graph:
        graph.add_node(node)
        sources = (value.producer() for value in read_by(node))
        graph.add_edges_from((source, node) for source in sources if source and source.graph is model.graph)
    return graph
