"""What nothing reads any more: nodes behind a value, functions without a node."""

from collections.abc import Iterable
from itertools import groupby

import onnx_ir as ir

from qtnc.ir.bodies import detach, read_by
from qtnc.ir.dialect import DOMAIN


def drop_unread(values: Iterable[ir.Value]) -> None:
    """Drop the nodes that computed values which nothing reads any more, and those that only they read."""
    for graph, nodes in groupby(detach_unread(values), lambda node: node.graph):
        if graph is not None:
            graph.remove(nodes)


def detach_unread(values: Iterable[ir.Value]) -> dict[ir.Node, list[ir.Value]]:
    """Let the same nodes read nothing any more, and return what each did; they stay in their graphs, for nothing."""
    wanted, found = list(values), dict[ir.Node, list[ir.Value]]()
    while wanted:
        node = wanted.pop().producer()
        if node is None or node.graph is None or node in found:
            continue
        if not any(output.uses() or output.is_graph_output() for output in node.outputs):
            found[node] = list(read_by(node))
            wanted += found[node]
            detach(node)
    return found


def drop_unused_functions(model: ir.Model) -> None:
    """Forget functions of the ``qtn`` dialect whose node is gone."""
    used = {node.op_identifier() for node in ir.traversal.RecursiveGraphIterator(model.graph)}
    for identifier in [name for name in model.functions if name[0] == DOMAIN and name not in used]:
        del model.functions[identifier]
