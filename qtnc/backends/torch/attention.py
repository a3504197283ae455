"""Emission of Attention and RotaryEmbedding."""

from collections.abc import Callable
from typing import Final

import onnx_ir as ir

from qtnc.backends.torch.expression import Expr, Part, binary, call, member, method, span, subscript
from qtnc.backends.torch.node_view import Call

_PAST = 4
"""Input of Attention that holds earlier keys; 5 holds earlier values, 6 the lengths of padded keys."""


def _heads(node: Call, k: int, attribute: str) -> Expr:
    """Input ``k`` as (batch, heads, length, size)."""
    if node.need_rank(k) == 4:
        return node.tensor(k)
    split = method(node.tensor(k), "unflatten", -1, (node.attr_int(attribute, 1), -1))
    return method(split, "transpose", 1, 2)


def _attention(node: Call) -> Expr:
    for reason, found in (
        ("softcap", node.attr_float("softcap", 0.0) != 0),
        ("sliding windows", max(node.attr_int(n, -1) for n in ("left_window_size", "right_window_size")) >= 0),
        ("nonpad_kv_seqlen", node.has(6)),
        ("the scores as an output", node.used(3)),
    ):
        if found:
            node.refuse(f"{reason} cannot be written as scaled_dot_product_attention")
    key, value = _heads(node, 1, "kv_num_heads"), _heads(node, 2, "kv_num_heads")
    causal = bool(node.attr_int("is_causal", 0))
    past = node.has(_PAST)
    if past:
        key = node.bind(call("torch.cat", (node.atom(4), key), dim=2), "keys")
        value = node.bind(call("torch.cat", (node.atom(5), value), dim=2), "values")
        _present(node, key, value)
    elif node.used(1) or node.used(2):
        key, value = node.bind(key, "keys"), node.bind(value, "values")
        _present(node, key, value)
    query = _heads(node, 0, "q_num_heads")
    if causal and (past or node.has(3)):
        query, key = node.bind(query, "queries"), node.bind(key, "keys")
    options = _mask(node, query, key, causal)
    if "scale" in node.node.attributes:
        options["scale"] = node.attr_float("scale", 1.0)
    if _grouped(node):
        options["enable_gqa"] = True
    mixed = call("F.scaled_dot_product_attention", query, key, value, **options)
    return mixed if node.need_rank(0) == 4 else method(method(mixed, "transpose", 1, 2), "flatten", 2)


def _present(node: Call, key: Expr, value: Expr) -> None:
    for output, expr in ((1, key), (2, value)):
        if node.used(output):
            node.emission.define(node.node.outputs[output], expr)


def _grouped(node: Call) -> bool:
    if node.need_rank(0) == 4:
        heads = [node.axes(k) for k in (0, 1)]
        sizes = [None if axes is None else axes[1] for axes in heads]
        return sizes[0] is None or sizes[0] != sizes[1]
    return node.attr_int("q_num_heads", 1) != node.attr_int("kv_num_heads", 1)


def _mask(node: Call, query: Expr, key: Expr, causal: bool) -> dict[str, Part]:
    """Mask and causality as torch takes them; a query may see the past and the keys up to its own."""
    past = node.has(_PAST)
    if not node.has(3):
        if not causal:
            return {}
        return {"attn_mask": _triangle(node, query, key)} if past else {"is_causal": True}
    if not causal:
        return {"attn_mask": node.operand(3)}
    triangle = _triangle(node, query, key)
    if node.dtype(3) is ir.DataType.BOOL:
        return {"attn_mask": binary("&", node.operand(3), triangle)}
    return {"attn_mask": call("torch.where", triangle, node.operand(3), "-torch.inf")}


def _triangle(node: Call, query: Expr, key: Expr) -> Expr:
    lengths = [subscript(member(x, "shape"), 2) for x in (query, key)]
    ones = call("torch.ones", *lengths, dtype="torch.bool", device=member(query, "device"))
    past = subscript(member(node.atom(4), "shape"), 2) if node.has(_PAST) else None
    return node.bind(method(ones, "tril", *([past] if past is not None else [])), "causal")


def _rotary(node: Call) -> Expr:
    rank = node.need_rank(0)
    x = node.tensor(0)
    if rank == 3:
        x = method(x, "unflatten", -1, (node.attr_int("num_heads", 0), -1))
    x = node.bind(x, "heads") if x.depth else x
    cos, sin = (_angles(node, k, 1 if rank == 4 else 2) for k in (1, 2))
    turning = node.attr_int("rotary_embedding_dim", 0)
    part = subscript(x, "...", span(None, turning)) if turning else x
    turned = _turn(node, part, cos, sin)
    if turning:
        turned = call("torch.cat", (turned, subscript(x, "...", span(turning, None))), dim=-1)
    return method(turned, "flatten", 2) if rank == 3 else turned


def _angles(node: Call, k: int, axis: int) -> Expr:
    table = node.operand(k)
    rows = subscript(table, node.atom(3)) if node.has(3) else table
    return node.bind(method(rows, "unsqueeze", axis), "cos" if k == 1 else "sin")


def _turn(node: Call, x: Expr, cos: Expr, sin: Expr) -> Expr:
    """Rotate pairs: neighbours when interleaved, else the two halves."""
    interleaved = bool(node.attr_int("interleaved", 0))
    if interleaved:
        x = node.bind(x, "part") if x.depth else x
        left, right = (node.bind(subscript(x, "...", span(s, None, 2)), "half") for s in (0, 1))
    else:
        left, right = node.emission.bind_pair(method(x, "chunk", 2, dim=-1), ("half", "half"), node.path)
    real = binary("-", binary("*", left, cos), binary("*", right, sin))
    imaginary = binary("+", binary("*", left, sin), binary("*", right, cos))
    if interleaved:
        return method(call("torch.stack", (real, imaginary), dim=-1), "flatten", -2)
    return call("torch.cat", (real, imaginary), dim=-1)


OPS: Final[dict[str, Callable[[Call], Expr]]] = {"Attention": _attention, "RotaryEmbedding": _rotary}
