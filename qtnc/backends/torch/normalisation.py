"""Emission of normalisations, and of what quantised weights need."""

from collections.abc import Callable
from typing import Final

import onnx_ir as ir

from qtnc.backends.torch.expression import Expr, Part, binary, call, member, method, span, subscript
from qtnc.backends.torch.node_view import Call

Emit = Callable[[Call], Expr]


def _normalised_shape(node: Call) -> Part:
    """Sizes of the axes from ``axis`` on: numbers when they are known, else read from x."""
    rank = node.rank(0)
    axis = node.attr_int("axis", -1)
    if rank is None:
        if axis >= 0:
            return subscript(member(node.atom(0), "shape"), span(axis, None))
        rank, axis = -axis, 0
        return tuple(node.size(0, k - rank) for k in range(rank))
    return tuple(node.size(0, k) for k in range(axis % rank, rank))


def _affine_fits(node: Call, shape: Part, k: int) -> bool:
    return not node.has(k) or (isinstance(shape, tuple) and node.axes(k) == shape)


def _layer_norm(node: Call) -> Expr:
    node.only_first_output()
    eps = node.attr_float("epsilon", 1e-5)
    shape = _normalised_shape(node)
    if _affine_fits(node, shape, 1) and _affine_fits(node, shape, 2):
        x, *affine = (node.tensor(k) for k in node if node.has(k))
        return call("F.layer_norm", x, shape, *affine, eps=eps)
    y = binary("*", call("F.layer_norm", node.tensor(0), shape, eps=eps), node.operand(1))
    return binary("+", y, node.operand(2)) if node.has(2) else y


def _rms_norm(node: Call) -> Expr:
    eps = node.attr_float("epsilon", 1e-5)
    shape = _normalised_shape(node)
    if _affine_fits(node, shape, 1):
        return call("F.rms_norm", node.tensor(0), shape, node.tensor(1), eps=eps)
    return binary("*", call("F.rms_norm", node.tensor(0), shape, eps=eps), node.operand(1))


def _group_norm(node: Call) -> Expr:
    if node.opset < 21:
        node.refuse("before opset 21 its scale is per group")
    groups, eps = node.attr_int("num_groups", 1), node.attr_float("epsilon", 1e-5)
    return call("F.group_norm", node.tensor(0), groups, node.tensor(1), node.tensor(2), eps=eps)


def _batch_norm(node: Call) -> Expr:
    node.only_first_output()
    if node.attr_int("training_mode", 0):
        node.refuse("it trains (training_mode)")
    x, weight, bias, mean, var = (node.tensor(k) for k in range(5))
    return call("F.batch_norm", x, mean, var, weight, bias, eps=node.attr_float("epsilon", 1e-5))


def _instance_norm(node: Call) -> Expr:
    eps = node.attr_float("epsilon", 1e-5)
    return call("F.instance_norm", node.tensor(0), weight=node.tensor(1), bias=node.tensor(2), eps=eps)


def _lp_norm(node: Call) -> Expr:
    axis, power = node.attr_int("axis", -1), node.attr_int("p", 2)
    return call("F.normalize", node.tensor(0), p=power, dim=axis, eps=0.0)


def _spread(node: Call, k: int) -> Expr:
    """Scale or zero point, shaped to meet x: one number, one per index of an axis, or one per block of an axis."""
    rank, axis, block = node.rank(k), node.attr_int("axis", 1), node.attr_int("block_size", 0)
    if block:
        repeated = method(node.tensor(k), "repeat_interleave", block, dim=axis)
        size = node.size(0, axis)
        dims = node.axes(k)
        if dims is not None and isinstance(size, int) and dims[axis] == -(-size // block) and size % block:
            cut = [span(None, None)] * (axis % node.need_rank(0)) + [span(None, size)]
            return subscript(repeated, *cut)
        return repeated
    if not rank or node.axes(k) == (1,):
        return node.operand(k)
    after = node.need_rank(0) - 1 - axis % node.need_rank(0)
    return method(node.tensor(k), "view", -1, *([1] * after)) if after else node.tensor(k)


def _dequantize(node: Call) -> Expr:
    x = node.tensor(0)
    dtype = _cast_to(node, node.dtype(1))
    x = binary("-", method(x, "to", dtype), _spread(node, 2)) if node.has(2) else method(x, "to", dtype)
    return binary("*", x, _spread(node, 1))


def _cast_to(node: Call, dtype: ir.DataType | None) -> Part:
    if dtype is not None and dtype == node.emission.model_dtype:
        return node.emission.own_dtype()
    return node.dtype_text(dtype)


_RANGES = {
    ir.DataType.UINT8: (0, 255),
    ir.DataType.INT8: (-128, 127),
    ir.DataType.UINT4: (0, 15),
    ir.DataType.INT4: (-8, 7),
}


def _quantize(node: Call) -> Expr:
    target = node.dtype(2) if node.has(2) else ir.DataType(node.attr_int("output_dtype", int(ir.DataType.UINT8)))
    if target not in _RANGES:
        node.refuse(f"quantising to {target} is not supported")
    x = call("torch.round", binary("/", node.tensor(0), _spread(node, 1)))
    if node.has(2):
        x = binary("+", x, _spread(node, 2))
    return method(method(x, "clamp", *_RANGES[target]), "to", node.dtype_text(target))


OPS: Final[dict[str, Emit]] = {
    "LayerNormalization": _layer_norm,
    "RMSNormalization": _rms_norm,
    "GroupNormalization": _group_norm,
    "BatchNormalization": _batch_norm,
    "InstanceNormalization": _instance_norm,
    "LpNormalization": _lp_norm,
    "DequantizeLinear": _dequantize,
    "QuantizeLinear": _quantize,
}
