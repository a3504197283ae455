"""Bring a model into the form the other passes expect."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir
from onnx_ir import convenience
from onnx_ir.passes.common import LiftConstantsToInitializersPass, RemoveUnusedNodesPass

from qtnc.ir.shapes import more_known
from qtnc.pipeline import PassResult


@dataclass(frozen=True)
class Canonicalize:
    """Constants become initialisers, identities and dead nodes go.

    onnx-ir's own passes do most of the work: they keep graph inputs, outputs and metadata.
    """

    name: ClassVar[str] = "canonicalize"

    def run(self, model: ir.Model) -> PassResult:
        """Run the clean-ups in order."""
        lifted = LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
        dropped = False
        for node in list(ir.traversal.RecursiveGraphIterator(model.graph)):
            if _is_needless(node):
                _drop(node)
                dropped = True
        result = RemoveUnusedNodesPass()(model)
        return PassResult(result.model, lifted.modified or dropped or result.modified)


def _is_needless(node: ir.Node) -> bool:
    """Whether an Identity does nothing; one does that gives a graph an output of its own name.

    A graph hands out no value twice, and none that it does not compute: onnx-ir's own pass makes such graphs, and
    onnxruntime garbage of a body that hands out one value as two.
    """
    if node.op_type != "Identity" or node.domain != "" or node.inputs[0] is None:
        return False
    value = node.inputs[0]
    producer = value.producer()
    own = producer is not None and producer.graph is node.graph and not value.is_graph_output()
    return own or not node.outputs[0].is_graph_output()


def _drop(node: ir.Node) -> None:
    value, copy = node.inputs[0], node.outputs[0]
    assert value is not None  # noqa: S101 - asked before
    value.shape, value.type = more_known(value.shape, copy.shape), value.type or copy.type
    renamed = copy.name if copy.is_graph_output() else value.name
    convenience.replace_all_uses_with(copy, value, replace_graph_outputs=True)
    assert node.graph is not None  # noqa: S101 - it was found in one
    node.graph.remove(node, safe=True)
    value.name = renamed
