"""What an ONNX operator does around its product: axes moved and joined, ``alpha * product + beta * bias``."""

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from qtnc.errors import InternalError
from qtnc.ir.form import Form
from qtnc.ir.initializers import add_initializer
from qtnc.ir.layers import Layer
from qtnc.ir.names import FreeNames


def factors_of(layer: Layer) -> dict[str, float]:
    """Numbers by which a Gemm multiplies, that its rewriting stores: ``alpha`` and ``beta`` where they are not 1."""
    node = layer.node
    if node.op_type != "Gemm":
        return {}
    found = {"alpha": node.attributes.get_float("alpha", 1.0)}
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        found["beta"] = node.attributes.get_float("beta", 1.0)
    return {name: factor for name, factor in found.items() if factor != 1.0}


class Surroundings:
    """Nodes before and after the product of one layer.

    Attributes
    ----------
    x : what the product reads: its features last, before them its rows, before these what meets a stack.
    before : nodes that make it so.
    """

    def __init__(self, model: ir.Model, layer: Layer, names: FreeNames) -> None:
        if isinstance(layer.form, str):
            raise InternalError(f"layer `{layer.name}` is no product: {layer.form}")
        self._model, self._layer, self._names = model, layer, names
        self._form: Form = layer.form
        self._nodes: list[ir.Node] = []
        self._made = 0
        self.x = self._enter(layer.x)
        self.before = tuple(self._nodes)

    def after(self, product: ir.Value) -> tuple[ir.Node, ...]:
        """Nodes that make of the product what the layer's node made."""
        node = self._layer.node
        self._nodes = []
        bias = node.inputs[2] if len(node.inputs) > 2 and node.op_type != "MatMul" else None
        if node.op_type == "Conv" and bias is not None:  # one number a channel, and these are last as yet
            product, bias = self._node("Add", product, bias), None
        product = self._leave(product)
        if node.op_type == "Gemm":
            self._scale_and_add(product, bias)
        return tuple(self._nodes)

    def _enter(self, x: ir.Value) -> ir.Value:
        weight = self._form.weight
        x = self._transposed(x, [axis for axis in self._form.x if axis is not None])
        x = self._grown(x, [place for place, axis in enumerate(self._form.x) if axis is None])
        return self._features(x, weight.sizes_in(self._layer.shape), self._layer.matrix_shape[:1])

    def _leave(self, y: ir.Value) -> ir.Value:
        weight, kept = self._form.weight, [axis for axis in self._form.y if axis is not None]
        y = self._features(y, self._layer.matrix_shape[1:], weight.sizes_out(self._layer.shape))
        left_out = [axis for axis in range(_rank(y)) if axis not in kept]
        if left_out:
            y = self._node("Squeeze", y, self._ints("axes", left_out), shape=[_axes(y)[axis] for axis in sorted(kept)])
        y = self._transposed(y, [sorted(kept).index(axis) for axis in kept])
        return self._grown(y, [place for place, axis in enumerate(self._form.y) if axis is None])

    def _scale_and_add(self, product: ir.Value, bias: ir.Value | None) -> None:
        factors = factors_of(self._layer)
        if "alpha" in factors:
            product = self._node("Mul", product, self._scalar("alpha", factors["alpha"]))
        if "beta" in factors and bias is not None:
            bias = self._node("Mul", bias, self._scalar("beta", factors["beta"]))
        if bias is not None:
            self._node("Add", product, bias)

    def _transposed(self, value: ir.Value, perm: Sequence[int]) -> ir.Value:
        if list(perm) == list(range(_rank(value))):
            return value
        shape = [_axes(value)[axis] for axis in perm]
        return self._node("Transpose", value, attributes=[ir.AttrInt64s("perm", perm)], shape=shape)

    def _grown(self, value: ir.Value, places: Sequence[int]) -> ir.Value:
        """Put axes of size 1 in these places."""
        if not places:
            return value
        shape = list(_axes(value))
        for place in places:
            shape.insert(place, 1)
        return self._node("Unsqueeze", value, self._ints("axes", places), shape=shape)

    def _features(self, value: ir.Value, have: Sequence[int], want: Sequence[int]) -> ir.Value:
        """Join or split the last axes, the features."""
        if tuple(have) == tuple(want):
            return value
        leading = _axes(value)[: _rank(value) - len(have)]
        return self._node("Reshape", value, self._ints("shape", [*[0] * len(leading), *want]), shape=[*leading, *want])

    def _node(
        self,
        op: str,
        like: ir.Value,
        *others: ir.Value,
        attributes: Sequence[ir.Attr] = (),
        shape: Sequence[int | ir.SymbolicDim] | None = None,
    ) -> ir.Value:
        made = ir.node(op, [like, *others], {a.name: a for a in attributes})
        made.name = f"{self._layer.name}.{op.lower()}_{self._made}"
        self._made += 1
        made.outputs[0].name = self._names.take(made.name)
        made.outputs[0].type, made.outputs[0].shape = like.type, like.shape if shape is None else ir.Shape(shape)
        made.metadata_props.update(self._layer.node.metadata_props)
        self._nodes.append(made)
        return made.outputs[0]

    def _ints(self, role: str, numbers: Sequence[int]) -> ir.Value:
        name = self._names.take(f"{self._layer.name}.{role}")
        return add_initializer(self._model, name, np.array(numbers, np.int64))

    def _scalar(self, role: str, number: float) -> ir.Value:
        name = self._names.take(f"{self._layer.name}.{role}")
        return add_initializer(self._model, name, np.array(number, self._layer.dtype.numpy()))


def _axes(value: ir.Value) -> Sequence[int | ir.SymbolicDim]:
    assert value.shape is not None  # noqa: S101 - values of unknown rank are declined
    return value.shape.dims


def _rank(value: ir.Value) -> int:
    return len(_axes(value))
