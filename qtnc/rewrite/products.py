"""Replace a weight product by the product with a tensor network."""

from collections.abc import Iterable
from math import prod

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir import convenience

from qtnc.errors import InternalError, PassError
from qtnc.ir.dialect import network_call
from qtnc.ir.initializers import add_initializer, drop_unused_initializers
from qtnc.ir.layers import PRODUCTS, Layer, find_layers
from qtnc.ir.names import FreeNames
from qtnc.pipeline import PassResult
from qtnc.rewrite.decision import Decision, Rewritten
from qtnc.structures.structure import Problem, Structure
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
    network = structure.network(problem.shape)
    dtype = layer.dtype.numpy()
    cores = tuple(core.astype(dtype) for core in structure.fit(problem))
    values = [add_initializer(model, names.take(f"{layer.name}.core_{k}"), core) for k, core in enumerate(cores)]
    node = network_call(model, structure.op_type, layer.name, layer.x, values, network, x_first(network))
    node.name = layer.node.name
    node.outputs[0].name = names.take(f"{layer.name}.product")
    node.metadata_props.update(layer.node.metadata_props)
    nodes = [node, *_gemm_rest(model, layer, node.outputs[0], names)]
    convenience.replace_nodes_and_values(
        model.graph, layer.node, [layer.node], nodes, layer.node.outputs, nodes[-1].outputs
    )
    stored = tuple(core.astype(np.float64) for core in cores)
    return Rewritten(
        layer.name,
        structure.name,
        network.parameters,
        prod(problem.shape),
        problem.error(structure.dense(stored, problem.shape)),
    )


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
