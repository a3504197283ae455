"""Operators that no backend writes: those of other domains than ONNX's own."""

import onnx_ir as ir

from qtnc.errors import Diagnostic, printable
from qtnc.ir.dialect import DOMAIN
from qtnc.rules.building import MADE_BY


def foreign(model: ir.Model) -> tuple[Diagnostic, ...]:
    """What is wrong with a model's operators of other domains, one an operator, with the rule that made it if one did.

    Calls of functions of the model are none of these, nor are operations of the ``qtn`` dialect.
    """
    found: dict[tuple[str, str], list[ir.Node]] = {}
    for node in ir.traversal.RecursiveGraphIterator(model.graph):
        if node.domain not in ("", DOMAIN) and node.op_identifier() not in model.functions:
            found.setdefault((node.domain, node.op_type), []).append(node)
    return tuple(_refused(".".join(op), nodes) for op, nodes in sorted(found.items()))


def _refused(word: str, nodes: list[ir.Node]) -> Diagnostic:
    times = f"{len(nodes)} time{'s' if len(nodes) > 1 else ''}"
    rule = nodes[0].metadata_props.get(MADE_BY)
    way_out = "export the model without it, or write a rule that puts standard ones in its place"
    if rule is not None:
        way_out = (
            f"rule `{printable(rule)}` makes it: let it make a standard one, of a newer opset by `emit onnx(opset: 20)`"
        )
    first = printable(nodes[0].name or "unnamed")
    message = f"{printable(word)} is no standard operator, and no others are emitted ({times}, first `{first}`)"
    return Diagnostic(message, help=way_out)
