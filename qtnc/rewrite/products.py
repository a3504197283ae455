"""Replace a weight product by the product with a tensor network."""

from collections.abc import Iterable
from math import prod

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir import convenience

from qtnc.errors import InternalError, PassError
from qtnc.ir.dialect import Order, Product, product_call
from qtnc.ir.initializers import add_initializer, drop_unused_initializers
from qtnc.ir.layers import PRODUCTS, Layer, find_layers
from qtnc.ir.names import FreeNames
from qtnc.pipeline import PassResult
from qtnc.quantum.circuit import Circuit
from qtnc.quantum.schedule import WIDTHS, fuse
from qtnc.rewrite.decision import Decision, Rewritten
from qtnc.structures.structure import Part, Problem, Structure, parameters_of
from qtnc.tensor.order import x_first
from qtnc.tensor.threads import one_thread


def declined(layer: Layer) -> str | None:
    """Why a layer cannot be rewritten as a weight product ``y = x . W``, or None when it can."""
    if layer.op not in PRODUCTS:
        return f"{layer.op} is not a product x . W with a constant matrix W (MatMul or Gemm)"
    if len(layer.shape) != 2:
        return f"its weight has {len(layer.shape)} axes; a matrix has 2"
    if layer.op == "Gemm" and layer.node.attributes.get_int("transA", False):
        return "its x is transposed (transA = 1)"
    if layer.x.shape is None:
        return "the rank of its input is unknown"
    if 0 in layer.shape:
        return "its weight is empty"
    return None


def problem_of(layer: Layer, decision_covariance: NDArray[np.float64] | None) -> Problem:
    """The matrix to approximate.

    Raises
    ------
    PassError
        If the weight holds NaN or infinity.
    """
    weight = layer.matrix()
    if not np.isfinite(weight).all():
        raise PassError(f"the weight of layer `{layer.name}` holds NaN or infinity and cannot be decomposed")
    return Problem(weight, decision_covariance)


def replace_products(model: ir.Model, decisions: Iterable[Decision], structure: type[Structure]) -> PassResult:
    """Rewrite the layers whose decision is for ``structure``."""
    chosen = {d.layer: d for d in decisions if isinstance(d.structure, structure)}
    names = FreeNames(model)
    with one_thread():
        notes = tuple(_replace(model, x, chosen[x.name], names) for x in find_layers(model) if x.name in chosen)
    if len(notes) != len(chosen):
        raise InternalError(f"layers {sorted(set(chosen) - {n.layer for n in notes})} are not in the model")
    drop_unused_initializers(model)
    return PassResult(model, bool(notes), notes)


def _replace(model: ir.Model, layer: Layer, decision: Decision, names: FreeNames) -> Rewritten:
    if reason := declined(layer):
        raise PassError(f"layer `{layer.name}` cannot be rewritten: {reason}")
    problem = problem_of(layer, decision.covariance)
    structure = decision.structure
    parts = structure.parts(problem.shape)
    dtype = layer.dtype.numpy()
    arrays = tuple(array.astype(dtype) for array in structure.fit(problem))
    nodes = _chain(model, layer, parts, arrays, names)
    nodes += _gemm_rest(model, layer, nodes[-1].outputs[0], names)
    convenience.replace_nodes_and_values(
        model.graph, layer.node, [layer.node], nodes, layer.node.outputs, nodes[-1].outputs
    )
    stored = tuple(array.astype(np.float64) for array in arrays)
    return Rewritten(
        layer.name,
        structure.name,
        parameters_of(parts),
        prod(problem.shape),
        problem.error(structure.dense(stored, problem.shape)),
    )


def _chain(
    model: ir.Model, layer: Layer, parts: tuple[Part, ...], arrays: tuple[NDArray[np.generic], ...], names: FreeNames
) -> list[ir.Node]:
    """One node a part, each on what the one before it makes."""
    x = layer.node.inputs[0]  # may be new since the layer was found: what a layer before it now computes
    assert x is not None  # noqa: S101 - a product has both
    nodes: list[ir.Node] = []
    left = iter(arrays)
    for part in parts:
        product = part.product
        title = f"{layer.name}.{part.role}" if part.role else layer.name
        labels = [_label(title, product, k) for k in range(len(product.core_shapes))]
        weights = [add_initializer(model, names.take(label), next(left)) for label in labels]
        node = product_call(model, part.op_type, title, x, weights, product, _first_order(product))
        called = layer.node.name or ""
        node.name = f"{called}.{part.role}" if called and part.role else called
        node.outputs[0].name = names.take(f"{title}.product")
        node.metadata_props.update(layer.node.metadata_props)
        nodes.append(node)
        x = node.outputs[0]
    return nodes


def _label(title: str, product: Product, number: int) -> str:
    return f"{title}_angles" if isinstance(product, Circuit) else f"{title}.core_{number}"


def _first_order(product: Product) -> Order:
    """An order that is always right; the cheapest is chosen by a pass of its own."""
    return fuse(product, WIDTHS[-1]) if isinstance(product, Circuit) else x_first(product)


def _gemm_rest(model: ir.Model, layer: Layer, product: ir.Value, names: FreeNames) -> list[ir.Node]:
    """What Gemm does besides the product: ``alpha * product + beta * bias``."""
    nodes: list[ir.Node] = []
    if layer.op != "Gemm":
        return nodes
    alpha = layer.node.attributes.get_float("alpha", 1.0)
    beta = layer.node.attributes.get_float("beta", 1.0)

    def node(op: str, like: ir.Value, other: ir.Value) -> ir.Value:
        made = ir.node(op, [like, other], name=f"{layer.name}.{op.lower()}_{len(nodes)}")
        made.outputs[0].name = names.take(made.name or op)
        made.outputs[0].type, made.outputs[0].shape = like.type, like.shape
        made.metadata_props.update(layer.node.metadata_props)
        nodes.append(made)
        return made.outputs[0]

    def scalar(role: str, number: float) -> ir.Value:
        return add_initializer(model, names.take(f"{layer.name}.{role}"), np.array(number, layer.dtype.numpy()))

    if alpha != 1.0:
        product = node("Mul", product, scalar("alpha", alpha))
    bias = layer.node.inputs[2] if len(layer.node.inputs) > 2 else None
    if bias is not None:
        if beta != 1.0:
            bias = node("Mul", bias, scalar("beta", beta))
        node("Add", product, bias)
    return nodes
