"""Branches whose condition is known: one of them takes the place of the If."""

from collections import Counter

import onnx_ir as ir
from onnx_ir import convenience

from qtnc.ir.names import FreeNames


def take_branch(model: ir.Model, node: ir.Node, *, condition: bool) -> tuple[ir.Node, ...]:
    """Put the nodes of one branch in the place of an If of the main graph, and return them.

    What another graph of the model calls alike gets another name; the outputs of the If keep theirs, by Identities.
    """
    branch = node.attributes["then_branch" if condition else "else_branch"].as_graph()
    weights, nodes, outputs = list(branch.initializers.values()), list(branch), list(branch.outputs)
    names, often = FreeNames(model), _often(model)
    for value in (*weights, *(value for made in nodes for value in made.outputs)):
        if value.name in often:
            value.name = names.take(str(value.name))
    branch.outputs.clear()
    branch.initializers.clear()
    branch.remove(nodes)
    for value in weights:
        model.graph.register_initializer(value)
    copies = [ir.node("Identity", [value]) for value in outputs]
    results = [copy.outputs[0] for copy in copies]
    convenience.replace_nodes_and_values(model.graph, node, [node], [*nodes, *copies], node.outputs, results)
    return (*nodes, *copies)


def tell_apart(model: ir.Model) -> None:
    """Give values of bodies other names where another graph has a value of that name."""
    names, often = FreeNames(model), _often(model)
    for graph in model.graphs():
        for value in _own(graph) if graph is not model.graph else ():
            if value.name in often:
                value.name = names.take(str(value.name))


def _own(graph: ir.Graph) -> tuple[ir.Value, ...]:
    weights = tuple(graph.initializers.values())
    return (*graph.inputs, *weights, *(value for node in graph for value in node.outputs))


def _often(model: ir.Model) -> frozenset[str]:
    """Names that values of two graphs have, which ONNX allows where neither is inside of the other."""
    found: Counter[str] = Counter()
    for graph in model.graphs():
        found.update({str(value.name) for value in _own(graph)})
    return frozenset(name for name, count in found.items() if count > 1)
