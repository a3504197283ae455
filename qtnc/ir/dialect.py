"""The ``qtn`` dialect: nodes for tensor networks and circuits, each with an ONNX function as its meaning."""

from collections.abc import Sequence
from typing import Final

import onnx_ir as ir

from qtnc.errors import InternalError
from qtnc.ir.circuit_lowering import CircuitLowering
from qtnc.ir.lowering import NetworkLowering
from qtnc.quantum.circuit import Circuit
from qtnc.quantum.schedule import Blocks, check_blocks
from qtnc.tensor.network import TensorNetwork, spread
from qtnc.tensor.order import Path

Product = TensorNetwork | Circuit
"""What one node computes: a linear map of features, given by its stored arrays."""

Order = tuple[tuple[int, ...], ...]
"""In which order: the path of a network, or the blocks of a circuit."""

DOMAIN: Final = "qtn"
VERSION: Final = 1
CIRCUIT: Final = "Circuit"
"""Op type of circuits."""


def is_qtn(node: ir.Node) -> bool:
    """Whether the node belongs to the dialect."""
    return node.domain == DOMAIN


def attributes_of(product: Product, order: Order) -> dict[str, ir.Attr]:
    """Attributes of a node that computes a network along a path, or a circuit by blocks."""
    if isinstance(product, Circuit):
        held = sorted((number, place) for place, block in enumerate(order) for number in block)
        found = [
            ir.AttrInt64("qubits", product.qubits),
            ir.AttrInt64s("pairs", [qubit for pair in product.pairs for qubit in pair]),
            ir.AttrInt64s("features", product.features),
            ir.AttrInt64s("blocks", [place for _, place in held]),
        ]
    else:
        found = [
            ir.AttrString("equation", product.equation),
            ir.AttrInt64s("mode_sizes", product.mode_sizes),
            ir.AttrInt64s("features", product.features),
            ir.AttrInt64s("path", [operand for pair in order for operand in pair]),
            *([ir.AttrInt64s("stack", product.stack)] if product.stack else []),
        ]
    return {attribute.name: attribute for attribute in found}


def is_circuit(node: ir.Node) -> bool:
    """Whether the node of the dialect is a circuit; all others are tensor networks."""
    return node.op_type == CIRCUIT


def product_of(node: ir.Node) -> Product:
    """What a ``qtn`` node computes."""
    return circuit_of(node) if is_circuit(node) else network_of(node)


def order_of(node: ir.Node) -> Order:
    """Read the path of a network, or the blocks of a circuit."""
    return blocks_of(node) if is_circuit(node) else path_of(node)


def network_of(node: ir.Node) -> TensorNetwork:
    """Read the tensor network of a ``qtn`` node: input 0 is x, input k + 1 is core k, stacked where ``stack`` is."""
    rows, columns = _attribute(node, "features").as_ints()
    sizes = _attribute(node, "mode_sizes").as_ints()
    stack = node.attributes.get_ints("stack", ())
    return TensorNetwork.parse(_attribute(node, "equation").as_string(), sizes, (rows, columns), stack)


def path_of(node: ir.Node) -> Path:
    """Read the contraction path of a ``qtn`` node, in single-assignment form."""
    flat = _attribute(node, "path").as_ints()
    return tuple(zip(flat[::2], flat[1::2], strict=True))


def circuit_of(node: ir.Node) -> Circuit:
    """Read the circuit of a ``qtn`` node: input 0 is x, input 1 the angles."""
    flat = _attribute(node, "pairs").as_ints()
    rows, columns = _attribute(node, "features").as_ints()
    pairs = tuple(zip(flat[::2], flat[1::2], strict=True))
    return Circuit(_attribute(node, "qubits").as_int(), pairs, (rows, columns))


def blocks_of(node: ir.Node) -> Blocks:
    """Read the blocks in which the gates of a circuit are fused."""
    places = _attribute(node, "blocks").as_ints()
    blocks = tuple(
        tuple(number for number, place in enumerate(places) if place == wanted) for wanted in sorted(set(places))
    )
    check_blocks(circuit_of(node), blocks)
    return blocks


def _attribute(node: ir.Node, name: str) -> ir.Attr:
    try:
        return node.attributes[name]
    except KeyError:
        raise InternalError(f"qtn node {node.name!r} has no attribute {name!r}") from None


def product_call(
    model: ir.Model,
    op_type: str,
    name: str,
    x: ir.Value,
    weights: Sequence[ir.Value],
    product: Product,
    order: Order,
) -> ir.Node:
    """Make a node that computes ``x . N(weights)`` and give the model the function that is its meaning.

    Parameters
    ----------
    name : canonical layer name, with a role behind it where a layer has several nodes; the function's overload.
    x : (..., M), its rank known; (..., rows, M) where the network is a stack.
    weights : cores of a network, or the angles of a circuit.
    """
    node = ir.node(op_type, [x, *weights], attributes_of(product, order), domain=DOMAIN, overload=name)
    assert x.shape is not None  # noqa: S101 - the matcher declines values of unknown rank
    node.outputs[0].type = x.type
    node.outputs[0].shape = ir.Shape([*spread(x.shape[:-1], product.stack), product.features[1]])
    model.graph.opset_imports[DOMAIN] = VERSION
    define(model, node)
    return node


def lowering_of(node: ir.Node, prefix: str = "") -> NetworkLowering | CircuitLowering:
    """The builder of standard nodes for what a ``qtn`` node computes."""
    return lowering_for(product_of(node), order_of(node), leading_axes(node), prefix, _weight_dtype(node))


def lowering_for(
    product: Product, order: Order, lead: int, prefix: str = "", dtype: ir.DataType = ir.DataType.FLOAT
) -> NetworkLowering | CircuitLowering:
    """The builder of standard nodes for a product; ``lead`` counts the axes of x before its features."""
    if isinstance(product, Circuit):
        return CircuitLowering(product, order, lead, prefix, dtype)
    return NetworkLowering(product, _pairs(order), lead, prefix)


def define(model: ir.Model, node: ir.Node) -> None:
    """Write the function of a ``qtn`` node anew from its attributes."""
    inputs = [ir.val("x"), *(ir.val(f"core_{k}") for k in range(len(product_of(node).core_shapes)))]
    lowering = lowering_of(node)
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
    known = attributes_of(product_of(node), order_of(node)).values()
    declared = [ir.Attr(attribute.name, attribute.type, None) for attribute in known]
    function = ir.Function(DOMAIN, node.op_type, node.overload, graph=graph, attributes=declared)
    model.functions[function.identifier()] = function


def _pairs(order: Order) -> Path:
    return tuple((a, b) for a, b in order)


def _weight_dtype(node: ir.Node) -> ir.DataType:
    weight = node.inputs[1] if len(node.inputs) > 1 else None
    return weight.dtype if weight is not None and weight.dtype is not None else ir.DataType.FLOAT


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
