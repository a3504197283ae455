"""The ``qtn`` dialect: nodes that stand for tensor networks, each with an ONNX function as its meaning."""

from collections.abc import Sequence
from typing import Final

import onnx_ir as ir

from qtnc.errors import InternalError
from qtnc.ir.lowering import NetworkLowering
from qtnc.tensor.network import TensorNetwork
from qtnc.tensor.order import Path

DOMAIN: Final = "qtn"
VERSION: Final = 1
ATTRIBUTES: Final = ("equation", "mode_sizes", "features", "path")


def is_qtn(node: ir.Node) -> bool:
    """Whether the node belongs to the dialect."""
    return node.domain == DOMAIN


def network_attributes(network: TensorNetwork, path: Path) -> dict[str, str | list[int]]:
    """Attributes of a node that computes ``network`` along ``path``."""
    return {
        "equation": network.equation,
        "mode_sizes": list(network.mode_sizes),
        "features": list(network.features),
        "path": [operand for pair in path for operand in pair],
    }


def network_of(node: ir.Node) -> TensorNetwork:
    """Read the tensor network of a ``qtn`` node: input 0 is x, input k + 1 is core k."""
    rows, columns = _attribute(node, "features").as_ints()
    sizes = _attribute(node, "mode_sizes").as_ints()
    return TensorNetwork.parse(_attribute(node, "equation").as_string(), sizes, (rows, columns))


def path_of(node: ir.Node) -> Path:
    """Read the contraction path of a ``qtn`` node, in single-assignment form."""
    flat = _attribute(node, "path").as_ints()
    return tuple(zip(flat[::2], flat[1::2], strict=True))


def _attribute(node: ir.Node, name: str) -> ir.Attr:
    try:
        return node.attributes[name]
    except KeyError:
        raise InternalError(f"qtn node {node.name!r} has no attribute {name!r}") from None


def network_call(
    model: ir.Model,
    op_type: str,
    name: str,
    x: ir.Value,
    cores: Sequence[ir.Value],
    network: TensorNetwork,
    path: Path,
) -> ir.Node:
    """Make a node that computes ``x . N(cores)`` and give the model the function that is its meaning.

    Parameters
    ----------
    name : canonical layer name; the function's overload.
    x : (..., M), its rank known.
    """
    attributes = network_attributes(network, path)
    node = ir.node(op_type, [x, *cores], attributes, domain=DOMAIN, overload=name)
    assert x.shape is not None  # noqa: S101 - the matcher declines values of unknown rank
    lead = len(x.shape) - 1
    node.outputs[0].type = x.type
    node.outputs[0].shape = ir.Shape([*x.shape[:lead], network.features[1]])
    model.graph.opset_imports[DOMAIN] = VERSION
    define(model, node)
    return node


def define(model: ir.Model, node: ir.Node) -> None:
    """Write the function of a ``qtn`` node anew from its attributes."""
    network, lead = network_of(node), leading_axes(node)
    inputs = [ir.val("x"), *(ir.val(f"core_{k}") for k in range(len(network.inputs) - 1))]
    lowering = NetworkLowering(network, path_of(node), lead)
    y = lowering.build(inputs[0], inputs[1:])
    constants = [_constant(value) for value in lowering.constants]
    if y is inputs[0]:
        raise InternalError(f"qtn node {node.name!r} has an empty network")
    graph = ir.Graph(
        inputs,
        [y],
        nodes=[*constants, *lowering.nodes],
        opset_imports={"": model.graph.opset_imports[""]},
        name=node.overload,
    )
    declared = [ir.Attr(a, node.attributes[a].type, None) for a in ATTRIBUTES]
    function = ir.Function(DOMAIN, node.op_type, node.overload, graph=graph, attributes=declared)
    model.functions[function.identifier()] = function


def leading_axes(node: ir.Node) -> int:
    """Number of axes of x before its features."""
    x = node.inputs[0]
    if x is None or x.shape is None:
        raise InternalError(f"the rank of the input of qtn node {node.name!r} is unknown")
    return len(x.shape) - 1


def _constant(value: ir.Value) -> ir.Node:
    """Turn a constant of the lowering into a Constant node, since functions have no initialisers."""
    assert value.const_value is not None  # noqa: S101 - made by the lowering with its tensor
    node = ir.node("Constant", [], {"value": ir.AttrTensor("value", value.const_value)}, outputs=[value])
    value.const_value = None
    return node
