"""Paths in the graph of a model, between its layers."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

import networkx as nx
import onnx_ir as ir

from qtnc.ir.layers import Layer


class LayerPaths:
    """Which layers a path leads from or to. The graph is read when first asked for, and every answer kept."""

    def __init__(self, model: ir.Model, layers: Sequence[Layer]) -> None:
        self._model = model
        self._nodes = {layer.name: layer.node for layer in layers}
        self._names = {layer.node: layer.name for layer in layers}
        self._known: dict[tuple[str, frozenset[str]], frozenset[str]] = {}

    def upstream(self, names: frozenset[str]) -> frozenset[str]:
        """Layers from which a path of an edge or more leads to one of these."""
        return self._reached("upstream", self._backwards, names)

    def downstream(self, names: frozenset[str]) -> frozenset[str]:
        """Layers to which a path of an edge or more leads from one of these."""
        return self._reached("downstream", self._forwards, names)

    @cached_property
    def _forwards(self) -> "nx.DiGraph[ir.Node]":
        """Nodes of the main graph, each before those that use what it computes."""
        graph: nx.DiGraph[ir.Node] = nx.DiGraph()
        for node in self._model.graph:
            graph.add_node(node)
            sources = (value.producer() for value in _read(node))
            graph.add_edges_from((source, node) for source in sources if source and source.graph is self._model.graph)
        return graph

    @cached_property
    def _backwards(self) -> "nx.DiGraph[ir.Node]":
        return self._forwards.reverse(copy=False)

    def _reached(self, way: str, graph: "nx.DiGraph[ir.Node]", names: frozenset[str]) -> frozenset[str]:
        if (way, names) not in self._known:
            starts = {after for name in names for after in graph.successors(self._nodes[name])}
            reached = nx.multi_source_dijkstra_path_length(graph, starts) if starts else {}
            self._known[way, names] = frozenset(self._names[node] for node in reached if node in self._names)
        return self._known[way, names]


def _read(node: ir.Node) -> Iterator[ir.Value]:
    """Values that a node reads, also inside of its branches."""
    yield from (value for value in node.inputs if value is not None)
    for graph in _branches(node):
        yield from graph.outputs
        for inner in graph:
            yield from _read(inner)


def _branches(node: ir.Node) -> Iterable[ir.Graph]:
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            yield attribute.as_graph()
        elif attribute.type == ir.AttributeType.GRAPHS:
            yield from attribute.as_graphs()
