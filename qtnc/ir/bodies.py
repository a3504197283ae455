"""Graphs that nodes hold: branches, and bodies of loops."""

from collections.abc import Iterable, Iterator

import onnx_ir as ir


def bodies(node: ir.Node) -> Iterable[ir.Graph]:
    """Graphs among the attributes of a node."""
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            yield attribute.as_graph()
        elif attribute.type == ir.AttributeType.GRAPHS:
            yield from attribute.as_graphs()


def inside(node: ir.Node) -> Iterator[ir.Node]:
    """Nodes of the bodies of a node, those of a body before the node that holds it."""
    for body in bodies(node):
        for inner in body:
            yield from inside(inner)
            yield inner


def read_by(node: ir.Node) -> Iterator[ir.Value]:
    """Values that a node reads, also inside of its bodies."""
    yield from (value for value in node.inputs if value is not None)
    for body in bodies(node):
        yield from body.outputs
        for inner in body:
            yield from read_by(inner)


def detach(node: ir.Node) -> None:
    """Let a node read nothing any more, in its bodies neither."""
    for one in (*inside(node), node):
        for k in range(len(one.inputs)):
            one.replace_input_with(k, None)
