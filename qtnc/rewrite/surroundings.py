"""What an ONNX operator does around its product: axes moved, ``alpha * product + beta * bias``."""

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from qtnc.errors import InternalError
from qtnc.ir.forms import Form
from qtnc.ir.initializers import add_initializer
from qtnc.ir.layers import Layer
from qtnc.ir.names import FreeNames


class Surroundings:
    """Nodes before and after the product of one layer.

    Attributes
    ----------
    x : what the product reads, its features last.
    before : nodes that make it so.
    """

    def __init__(self, model: ir.Model, layer: Layer, names: FreeNames) -> None:
        if isinstance(layer.form, str):
            raise InternalError(f"layer `{layer.name}` is no product: {layer.form}")
        self._model, self._layer, self._names = model, layer, names
        self._form: Form = layer.form
        self._nodes: list[ir.Node] = []
        self._made = 0
        self.x = layer.x if self._form.into == -1 else self._move(layer.x, self._form.into, -1)
        self.before = tuple(self._nodes)

    def after(self, product: ir.Value) -> tuple[ir.Node, ...]:
        """Nodes that make of the product what the layer's node made."""
        node = self._layer.node
        self._nodes = []
        bias = node.inputs[2] if len(node.inputs) > 2 and node.op_type != "MatMul" else None
        if node.op_type == "Conv" and bias is not None:  # one number a channel, and these are last as yet
            product, bias = self._node("Add", product, bias), None
        if self._form.out != -1:
            product = self._move(product, -1, self._form.out)
        if node.op_type == "Gemm":
            self._scale_and_add(product, bias)
        return tuple(self._nodes)

    def _scale_and_add(self, product: ir.Value, bias: ir.Value | None) -> None:
        attributes = self._layer.node.attributes
        alpha, beta = attributes.get_float("alpha", 1.0), attributes.get_float("beta", 1.0)
        if alpha != 1.0:
            product = self._node("Mul", product, self._scalar("alpha", alpha))
        if bias is not None:
            if beta != 1.0:
                bias = self._node("Mul", bias, self._scalar("beta", beta))
            self._node("Add", product, bias)

    def _move(self, value: ir.Value, source: int, target: int) -> ir.Value:
        """Move one axis and keep the order of the others."""
        assert value.shape is not None  # noqa: S101 - values of unknown rank are declined
        rank = len(value.shape)
        perm = [axis for axis in range(rank) if axis != source % rank]
        perm.insert(target % rank, source % rank)
        moved = self._node("Transpose", value, attributes=[ir.AttrInt64s("perm", perm)])
        moved.shape = ir.Shape([value.shape[axis] for axis in perm])
        return moved

    def _node(self, op: str, like: ir.Value, *others: ir.Value, attributes: Sequence[ir.Attr] = ()) -> ir.Value:
        made = ir.node(op, [like, *others], {a.name: a for a in attributes})
        made.name = f"{self._layer.name}.{op.lower()}_{self._made}"
        self._made += 1
        made.outputs[0].name = self._names.take(made.name)
        made.outputs[0].type, made.outputs[0].shape = like.type, like.shape
        made.metadata_props.update(self._layer.node.metadata_props)
        self._nodes.append(made)
        return made.outputs[0]

    def _scalar(self, role: str, number: float) -> ir.Value:
        name = self._names.take(f"{self._layer.name}.{role}")
        return add_initializer(self._model, name, np.array(number, self._layer.dtype.numpy()))
