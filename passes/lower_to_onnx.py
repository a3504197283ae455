"""Write every tensor network and circuit out as standard ONNX operators."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir
from onnx_ir import convenience

from qtnc.ir.dialect import DOMAIN, is_qtn, lowering_of
from qtnc.ir.names import NAME_SCOPES, FreeNames
from qtnc.pipeline import PassResult


@dataclass(frozen=True)
class LowerToOnnx:
    """Put the body of each ``qtn`` node in its place and drop the dialect."""

    name: ClassVar[str] = "lower-to-onnx"

    def run(self, model: ir.Model) -> PassResult:
        """Visit every ``qtn`` node."""
        calls = [node for node in ir.traversal.RecursiveGraphIterator(model.graph) if is_qtn(node)]
        names = FreeNames(model)
        for node in calls:
            _inline(model, node, names)
        for identifier in [i for i in model.functions if i[0] == DOMAIN]:
            del model.functions[identifier]
        model.graph.opset_imports.pop(DOMAIN, None)
        return PassResult(model, bool(calls))


def _inline(model: ir.Model, node: ir.Node, names: FreeNames) -> None:
    lowering = lowering_of(node, prefix=f"{node.overload}/")
    x, *cores = (value for value in node.inputs if value is not None)
    y = lowering.build(x, cores)
    for value in (*lowering.constants, *(made.outputs[0] for made in lowering.nodes)):
        value.name = names.take(value.name or "")
    for constant in lowering.constants:
        model.graph.register_initializer(constant)
    scopes = node.metadata_props.get(NAME_SCOPES)
    for made in lowering.nodes:
        if scopes is not None:  # the rest tells of the one node that was, and would be repeated in each
            made.metadata_props[NAME_SCOPES] = scopes
    graph = node.graph
    assert graph is not None  # noqa: S101 - it was found in one
    convenience.replace_nodes_and_values(graph, node, [node], lowering.nodes, node.outputs, [y])
