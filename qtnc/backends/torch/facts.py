"""What is known of values before any code is written: dtype, and the size of each axis where it is fixed."""

from collections.abc import Mapping
from dataclasses import dataclass

import onnx_ir as ir

from qtnc.backends.identifiers import words
from qtnc.ir.dialect import is_qtn, product_of
from qtnc.ir.einsum import equation_of
from qtnc.ir.inference import infer_shapes

Dims = tuple[int | str | None, ...]

_BOOLEAN = words("Equal Less LessOrEqual Greater GreaterOrEqual Not And Or Xor IsNaN IsInf")


@dataclass(frozen=True)
class Fact:
    """Dtype and axes of a value; an axis is its size, a symbol of the model, or None when unknown."""

    dtype: ir.DataType | None = None
    dims: Dims | None = None


def infer(model: ir.Model) -> dict[str, Fact]:
    """Facts of all values, by name.

    Sizes are inferred anew from the graph's inputs: a model whose batch was made dynamic by hand often keeps stale
    sizes on its inner values. Declared dtypes and ranks only fill gaps.
    """
    scratch = model.clone()
    declared = _read(scratch)
    _stand_in_for_networks(scratch)
    _hide_unsound_equations(scratch)
    for node in scratch.graph:
        for output in node.outputs:
            if not output.is_graph_output():
                output.shape = None
    infer_shapes(scratch)
    return {name: _merge(fact, declared.get(name, Fact())) for name, fact in _read(scratch).items()}


def guess_dtype(node: ir.Node, inputs: Mapping[int, ir.DataType | None]) -> ir.DataType | None:
    """Dtype of a node's first output where inference was silent."""
    if node.op_type in _BOOLEAN:
        return ir.DataType.BOOL
    if node.op_type in ("Shape", "Size", "ArgMax", "ArgMin"):
        return ir.DataType.INT64
    return inputs.get(1 if node.op_type == "Where" else 0)


def _stand_in_for_networks(model: ir.Model) -> None:
    """Replace each ``qtn`` node by a product with matrices of its features: the same shapes, no function bodies."""
    for node in list(ir.traversal.RecursiveGraphIterator(model.graph)):
        graph = node.graph
        if not is_qtn(node) or not isinstance(graph, ir.Graph):
            continue
        x = node.inputs[0]
        matrix = ir.Value(
            name=f"{node.outputs[0].name}::features",
            shape=ir.Shape([*product_of(node).stack, *product_of(node).features]),
            type=x.type if x is not None else None,
        )
        product = ir.Node("", "MatMul", [x, matrix], num_outputs=1)
        product.outputs[0].name = node.outputs[0].name
        graph.insert_before(node, product)
        _swap(graph, node.outputs[0], product.outputs[0])
        graph.remove(node, safe=True)
        model.graph.inputs.append(matrix)
    for key in [k for k in model.functions if k[0] == "qtn"]:
        del model.functions[key]


def _hide_unsound_equations(model: ir.Model) -> None:
    """Keep ONNX's inference from equations with stray dots: it never returns from them."""
    for node in ir.traversal.RecursiveGraphIterator(model.graph):
        if node.op_type == "Einsum" and not node.domain and equation_of(node) is None:
            node.domain = "unsound"


def _swap(graph: ir.Graph, old: ir.Value, new: ir.Value) -> None:
    new.shape, new.type = old.shape, old.type
    for k, output in enumerate(graph.outputs):
        if output is old:
            graph.outputs[k] = new
    old.replace_all_uses_with(new)


def _read(model: ir.Model) -> dict[str, Fact]:
    graphs = list(model.graphs())
    values = [v for graph in graphs for v in (*graph.inputs, *graph.initializers.values())]
    values += [v for graph in graphs for node in graph for v in node.outputs]
    return {v.name: _fact(v) for v in values if v.name}


def _fact(value: ir.Value) -> Fact:
    if value.const_value is not None:
        return Fact(value.const_value.dtype, tuple(int(d) for d in value.const_value.shape.numpy()))
    if value.shape is None:
        return Fact(value.dtype)
    dims = tuple(d if isinstance(d, int) else d.value for d in value.shape.dims)
    return Fact(value.dtype, dims)


def _merge(fact: Fact, declared: Fact) -> Fact:
    dims = fact.dims
    if dims is None and declared.dims is not None:
        dims = (None,) * len(declared.dims)
    return Fact(fact.dtype or declared.dtype, dims)
