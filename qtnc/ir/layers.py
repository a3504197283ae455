"""The layers of a model: nodes with a constant weight, under their canonical names."""

from dataclasses import dataclass
from math import prod

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qtnc.ir.dialect import is_qtn
from qtnc.ir.names import layer_name, unique

WEIGHT_INPUTS = {"MatMul": (1,), "Gemm": (1,), "Gather": (0,), "Conv": (1,)}
"""Where the weight of a layer stands among the inputs of its node."""

PRODUCTS = ("MatMul", "Gemm")


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer: the node, its weight, and the input that is not the weight."""

    name: str
    node: ir.Node
    weight: ir.Value
    x: ir.Value

    @property
    def op(self) -> str:
        """Operator of the node, as ONNX writes it."""
        return self.node.op_type

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the weight as stored."""
        return tuple(weight_tensor(self.weight).shape.numpy())

    @property
    def dtype(self) -> ir.DataType:
        """Element type of the weight."""
        return weight_tensor(self.weight).dtype

    @property
    def elements(self) -> int:
        """Elements of the weight."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """Stored bytes of the weight."""
        return weight_tensor(self.weight).nbytes

    @property
    def transposed(self) -> bool:
        """Whether the node multiplies by the transpose of the stored weight."""
        return self.op == "Gemm" and bool(self.node.attributes.get_int("transB", 0))

    def matrix(self) -> NDArray[np.float64]:
        """Weight as ``y = x . W`` reads it, (M, N), in float64."""
        array = weight_tensor(self.weight).numpy().astype(np.float64)
        return np.ascontiguousarray(array.T if self.transposed else array)

    @property
    def matrix_shape(self) -> tuple[int, int]:
        """(M, N) of ``matrix()``, without reading the weight."""
        rows, columns = self.shape
        return (columns, rows) if self.transposed else (rows, columns)


def weight_tensor(value: ir.Value) -> ir.TensorProtocol:
    """Constant tensor of an initialiser."""
    assert value.const_value is not None  # noqa: S101 - initialisers carry their tensor
    return value.const_value


def find_layers(model: ir.Model) -> tuple[Layer, ...]:
    """Layers of the main graph in graph order: floating-point weights of two dimensions or more."""
    found = []
    for node in model.graph:
        for position in WEIGHT_INPUTS.get(node.op_type, ()) if node.domain == "" else ():
            weight = node.inputs[position]
            x = node.inputs[1 - position]
            if weight is not None and x is not None and _is_weight(weight) and not _is_weight(x):
                found.append((node, weight, x))
    # A layer that is rewritten keeps its name, so that the next of the same name keeps its own.
    rewritten = [node.overload for node in model.graph if is_qtn(node)]
    names = unique((layer_name(node, weight) for node, weight, _ in found), rewritten)
    return tuple(Layer(name, *parts) for name, parts in zip(names, found, strict=True))


def _is_weight(value: ir.Value) -> bool:
    tensor = value.const_value
    return value.is_initializer() and tensor is not None and len(tensor.shape) >= 2 and tensor.dtype.is_floating_point()
