"""The ``qtn`` dialect: nodes that stand for tensor networks, each with an ONNX function as its meaning."""

from typing import Final

import onnx_ir as ir

from qtnc.errors import InternalError
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
