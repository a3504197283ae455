"""Emission of gathers, scatters and of tensors made from nothing."""

from collections.abc import Callable
from typing import Final

import onnx_ir as ir

from qtnc.backends.torch.arrangement import select
from qtnc.backends.torch.expression import (
    Expr,
    Part,
    as_expr,
    binary,
    call,
    listed,
    literal,
    member,
    method,
    quoted,
    span,
    subscript,
)
from qtnc.backends.torch.host import WHOLE, Item, from_tensor
from qtnc.backends.torch.node_view import Call

Emit = Callable[[Call], Expr]


def _gather(node: Call) -> Expr:
    axis = node.attr_int("axis", 0)
    indices = node.host(1)
    if indices is not None:
        items = indices.items
        index = listed(items) if indices.vector else as_expr(indices.scalar)
        if indices.vector and len(items) == 1 and not isinstance(items[0], Expr):
            index = span(items[0], items[0] + 1 if items[0] != -1 else None)
    else:
        index = _index(node, 1)
    return select(node.tensor(0), {axis: index}, node.rank(0))


def _index(node: Call, k: int) -> Expr:
    """Indices as torch takes them: of 32 or 64 bits, for bytes would be a mask."""
    index = node.tensor(k)
    return index if node.dtype(k) in (ir.DataType.INT64, ir.DataType.INT32) else method(index, "long")


def _wrapped(node: Call, axis: int) -> Expr:
    """Indices with negative ones counted from the end, for torch functions that refuse those."""
    size = node.size(0, axis)
    return binary("%", method(node.tensor(1), "long") if node.dtype(1) != ir.DataType.INT64 else node.tensor(1), size)


def _gather_elements(node: Call) -> Expr:
    axis = node.attr_int("axis", 0)
    index = _wrapped(node, axis)
    return call("torch.gather", node.tensor(0), axis, index)


def _gather_nd(node: Call) -> Expr:
    batch = node.attr_int("batch_dims", 0)
    if not batch:
        return subscript(node.tensor(0), method(node.tensor(1), "unbind", -1))
    if batch > 1:
        node.refuse("batch_dims above 1 is not supported")
    index = node.atom(1)
    rank = node.need_rank(1)
    rows = call("torch.arange", node.size(1, 0), device=member(index, "device"))
    if rank > 2:
        rows = method(rows, "view", -1, *([1] * (rank - 2)))
    unbound = method(index, "unbind", -1)
    pair = Expr(f"({rows.text}, *{unbound.text})", uses=rows.uses | unbound.uses, depth=2)
    return subscript(node.tensor(0), pair)


def _scatter_nd(node: Call) -> Expr:
    reduction = node.attr_text("reduction", "none")
    if reduction not in ("none", "add"):
        node.refuse(f"reduction {reduction!r} has no torch function")
    positions = method(node.tensor(1), "unbind", -1)
    more: dict[str, Part] = {"accumulate": True} if reduction == "add" else {}
    return method(node.tensor(0), "index_put", positions, node.tensor(2), **more)


_REDUCTIONS = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


def _scatter_elements(node: Call) -> Expr:
    axis = node.attr_int("axis", 0)
    reduction = node.attr_text("reduction", "none")
    index = _wrapped(node, axis)
    if reduction == "none":
        return method(node.tensor(0), "scatter", axis, index, node.tensor(2))
    if reduction not in _REDUCTIONS:
        node.refuse(f"reduction {reduction!r} has no torch function")
    word = quoted(_REDUCTIONS[reduction])
    return method(node.tensor(0), "scatter_reduce", axis, index, node.tensor(2), reduce=word)


def _range(node: Call) -> Expr:
    bounds = [_bound(node, k) for k in range(3)]
    dtype = node.dtype(0)
    arguments = bounds if bounds[2] != literal(1) else bounds[1:2] if bounds[0] == literal(0) else bounds[:2]
    more: dict[str, Part] = {} if dtype is ir.DataType.INT64 else {"dtype": node.dtype_text(dtype)}
    return call("torch.arange", *arguments, **more, device=node.emission.device())


def _bound(node: Call, k: int) -> Expr:
    host = node.host(k)
    if host is not None:
        return as_expr(host.scalar)
    return method(node.tensor(k), "item")


def _constant_of_shape(node: Call) -> Expr:
    value: Item = 0.0
    dtype: ir.DataType = ir.DataType.FLOAT
    if "value" in node.node.attributes:
        tensor = node.node.attributes["value"].as_tensor()
        host = from_tensor(tensor)
        if host is None:
            node.refuse(f"its value is of dtype {tensor.dtype}")
        value, dtype = host.items[0], tensor.dtype
    host = node.host(0)
    shape: Part = host.items if host is not None else method(node.tensor(0), "tolist")
    own = dtype == node.emission.model_dtype
    kind: Part = node.emission.own_dtype() if own else node.dtype_text(dtype)
    return call("torch.full", shape, value, dtype=kind, device=node.emission.device())


def _eye_like(node: Call) -> Expr:
    x = node.atom(0)
    dtype = ir.DataType(node.attr_int("dtype", int(node.dtype(0) or ir.DataType.FLOAT)))
    diagonal = node.attr_int("k", 0)
    if not diagonal:
        size = (node.size(0, 0), node.size(0, 1))
        return call("torch.eye", *size, dtype=node.dtype_text(dtype), device=member(x, "device"))
    ones = call("torch.ones_like", x, dtype=node.dtype_text(dtype))
    return method(method(ones, "triu", diagonal), "tril", diagonal)


def _one_hot(node: Call) -> Expr:
    depth = node.numbers(1, "depth")[0]
    axis = node.attr_int("axis", -1)
    rank = node.need_rank(0)
    index = node.atom(0)
    values = node.atom(2) if node.host(2) is None else None
    counted = call("torch.where", binary("<", index, 0), binary("+", index, depth), index)
    classes = call("torch.arange", depth, device=member(index, "device"))
    after = rank - axis if axis >= 0 else -1 - axis
    if after:
        classes = method(classes, "view", -1, *([1] * after))
    hit = binary("==", method(counted, "unsqueeze", axis), classes)
    if values is not None:
        off, on = (Expr(f"{values.text}[{k}]", uses=values.uses) for k in (0, 1))
        return call("torch.where", hit, on, off)
    off_item, on_item = node.numbers(2, "values")
    whole = node.dtype(2) in WHOLE
    if (off_item, on_item) == (0, 1) and whole:
        return method(hit, "to", node.dtype_text(node.dtype(2)))
    tensor_on = call("torch.tensor", on_item, dtype=node.dtype_text(node.dtype(2)), device=member(index, "device"))
    return call("torch.where", hit, tensor_on, off_item)


OPS: Final[dict[str, Emit]] = {
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "ScatterND": _scatter_nd,
    "ScatterElements": _scatter_elements,
    "Range": _range,
    "ConstantOfShape": _constant_of_shape,
    "EyeLike": _eye_like,
    "OneHot": _one_hot,
}
