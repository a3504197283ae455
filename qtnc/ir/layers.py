"""The layers of a model: nodes with a constant weight, under their canonical names."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qtnc.errors import PassError
from qtnc.ir.constants import Constants
from qtnc.ir.dialect import is_qtn
from qtnc.ir.form import Form, WeightForm
from qtnc.ir.forms import PRODUCTS, form_of, weight_form
from qtnc.ir.names import layer_name, unique
from qtnc.ir.rows import UNBOUND, count_rows

__all__ = ["PRODUCTS", "WEIGHT_INPUTS", "Layer", "find_layers", "weight_tensor"]

WEIGHT_INPUTS = {"MatMul": (1, 0), "Gemm": (1, 0), "Einsum": (1, 0), "Gather": (0,), "Conv": (1,)}
"""Where the weight of a layer may stand among the first two inputs of its node; the other is x."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer: a node that reads a constant weight and something else.

    Attributes
    ----------
    position : of the weight among the inputs.
    constants : of the model; the weight may be computed from what is stored, such as by a Transpose.
    nested : whether the node is in the body of another, such as If or Loop.
    """

    name: str
    node: ir.Node
    position: int
    constants: Constants
    nested: bool = False

    @property
    def weight(self) -> ir.Value:
        """The weight as the node reads it."""
        return self._input(self.position)

    @property
    def x(self) -> ir.Value:
        """The input that is not the weight."""
        return self._input(1 - self.position)

    def _input(self, position: int) -> ir.Value:
        value = self.node.inputs[position]
        assert value is not None  # noqa: S101 - a layer has both
        return value

    @property
    def op(self) -> str:
        """Operator of the node, as ONNX writes it."""
        return self.node.op_type

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the weight as the node reads it."""
        return _facts(self.weight, self.constants)[0]

    @property
    def dtype(self) -> ir.DataType:
        """Element type of the weight as the node reads it."""
        return _facts(self.weight, self.constants)[1]

    @property
    def elements(self) -> int:
        """Elements of the weight."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """Bytes of what is stored of the weight, scales of quantised ones included; its share where it is a slice."""
        tensors = [weight_tensor(value) for value in self.constants.sources(self.weight)]
        stored, largest = sum(tensor.nbytes for tensor in tensors), max(tensor.size for tensor in tensors)
        return stored * self.elements // largest if self.elements < largest else stored

    @property
    def form(self) -> Form | str:
        """How the node multiplies, or why it is no product with constant matrices."""
        rank = None if self.x.shape is None else len(self.x.shape)
        return form_of(self.node, self.position, self.shape, rank)

    @property
    def weight_form(self) -> WeightForm:
        """How the weight lies; that of no product is taken for a matrix as it is, of the last two axes."""
        found = weight_form(self.node, self.position, self.shape)
        rank = len(self.shape)
        return WeightForm((rank - 2, rank - 1)) if isinstance(found, str) else found

    @property
    def stack(self) -> tuple[int, ...]:
        """Sizes of the axes that count matrices; none where there is one."""
        return self.weight_form.stack(self.shape)

    @property
    def key(self) -> Hashable:
        """The same for layers that multiply by the same matrices."""
        turned, order = self.weight_form.arrangement
        plain = order == tuple(range(len(order)))
        return self.constants.matrix_key(self.weight, transposed=turned) if plain else (self.weight, turned, order)

    def matrices(self) -> NDArray[Any]:
        """Weight as ``y = x . W`` reads it, (S, M, N), as it is stored; S is 1 for a single matrix."""
        return self.weight_form.matrices(self.constants.array(self.weight))

    def matrix(self) -> NDArray[np.float64]:
        """The one matrix of a weight that is no stack, (M, N), in float64."""
        (matrix,) = self.matrices()
        return np.ascontiguousarray(matrix, np.float64)

    @property
    def matrix_shape(self) -> tuple[int, int]:
        """(M, N) of each matrix, without reading the weight."""
        return self.weight_form.matrix(self.shape)

    def read(self, x: NDArray[Any]) -> NDArray[Any]:
        """Values of ``x`` as the product reads them, (..., M), or (..., rows, M) for a stack; others as they are."""
        return x if isinstance(self.form, str) else self.form.read(x)

    def rows(self, binds: Mapping[str, int]) -> int:
        """Rows that x has for the product, over all matrices of a stack; symbolic axes by ``binds``, else 1."""
        form, shape = self.form, self.x.shape
        if isinstance(form, str) or shape is None:
            return UNBOUND if shape is None else count_rows(shape[:-1], binds)
        leading = form.x[: len(form.x) - form.weight.joined]
        return count_rows([1 if axis is None else shape[axis] for axis in leading], binds, self.stack)


def weight_tensor(value: ir.Value) -> ir.TensorProtocol:
    """Constant tensor of an initialiser."""
    assert value.const_value is not None  # noqa: S101 - initialisers carry their tensor
    return value.const_value


def find_layers(model: ir.Model) -> tuple[Layer, ...]:
    """Layers in graph order, those in bodies last: floating-point weights of two dimensions or more."""
    constants = Constants(model)
    found: list[tuple[ir.Node, int]] = []
    rewritten: list[str] = []
    for node in _nodes(model):
        if is_qtn(node):
            rewritten.append(node.overload)
        for position in WEIGHT_INPUTS.get(node.op_type, ()) if node.domain == "" and len(node.inputs) > 1 else ():
            weight, x = node.inputs[position], node.inputs[1 - position]
            if weight is not None and x is not None and x not in constants and _is_weight(weight, constants):
                found.append((node, position))
    # A layer that is rewritten keeps its name, so that the next of the same name keeps its own.
    names = unique((_name(node, position, constants) for node, position in found), rewritten)
    return tuple(
        Layer(name, node, position, constants, node.graph is not model.graph)
        for name, (node, position) in zip(names, found, strict=True)
    )


def _nodes(model: ir.Model) -> Iterator[ir.Node]:
    """Nodes of the main graph, then those of bodies."""
    yield from model.graph
    yield from (node for node in ir.traversal.RecursiveGraphIterator(model.graph) if node.graph is not model.graph)


def _name(node: ir.Node, position: int, constants: Constants) -> str:
    """Canonical name; a weight that is computed is called as what is stored."""
    weight = node.inputs[position]
    assert weight is not None  # noqa: S101 - a layer has a weight
    return layer_name(node, max(constants.sources(weight), key=lambda value: weight_tensor(value).size))


def _is_weight(value: ir.Value, constants: Constants) -> bool:
    if value not in constants:
        return False
    try:
        shape, dtype = _facts(value, constants)
    except PassError:
        return False
    return len(shape) >= 2 and dtype.is_floating_point()


def _facts(value: ir.Value, constants: Constants) -> tuple[tuple[int, ...], ir.DataType]:
    """Shape and element type of a constant; computed only where inference did not find them."""
    if value.const_value is not None:
        return tuple(value.const_value.shape.numpy()), value.const_value.dtype
    if value.shape is not None and value.dtype is not None and value.shape.is_static():
        return tuple(value.shape.numpy()), value.dtype
    array = constants.array(value)
    return array.shape, ir.DataType.from_numpy(array.dtype)
