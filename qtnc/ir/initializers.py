"""Weights of a graph: added under a free name, dropped when nothing reads them, read where a file cannot be."""

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray


def add_initializer(model: ir.Model, name: str, array: NDArray[np.generic]) -> ir.Value:
    """Add a weight as ``name``, or ``name:2`` and so on where that is taken."""
    taken, free, count = model.graph.initializers, name, 1
    while free in taken:
        count += 1
        free = f"{name}:{count}"
    tensor = ir.Tensor(np.asarray(array, order="C"), name=free)
    value = ir.Value(name=free, shape=tensor.shape, type=ir.TensorType(tensor.dtype), const_value=tensor)
    model.graph.register_initializer(value)
    return value


def drop_unused_initializers(model: ir.Model) -> None:
    """Forget weights that nothing reads any more, those of bodies too, graph inputs and outputs excepted."""
    for graph in model.graphs():
        for name, value in list(graph.initializers.items()):
            if not value.uses() and not value.is_graph_output() and not value.is_graph_input():
                del graph.initializers[name]


def in_memory(model: ir.Model) -> ir.Model:
    """The model, or a copy where weights lie in a file beside the original: what is made of it is elsewhere."""
    tensors = (v.const_value for graph in model.graphs() for v in graph.initializers.values())
    outside = any(isinstance(tensor, ir.ExternalTensor) for tensor in tensors)
    return ir.external_data.load_to_model(model.clone()) if outside else model
