"""Nodes that compute shapes, evaluated on Python numbers while the code is emitted."""

from collections.abc import Callable
from typing import Final

import onnx_ir as ir

from qtnc.backends.torch import host as h
from qtnc.backends.torch.expression import Expr, call, member
from qtnc.backends.torch.host import Host, NotOnHostError
from qtnc.backends.torch.node_view import Call


def evaluate(node: Call) -> Host | None:
    """Result of a node as Python numbers, or None when it has to be a tensor."""
    rule = RULES.get(node.node.op_type) if not node.node.domain else None
    if rule is None or len(node.node.outputs) != 1:
        return None
    if node.node.op_type not in ("Shape", "Size") and any(node.host(k) is None for k in node if node.has(k)):
        return None
    try:
        result = rule(node)
    except (NotOnHostError, ArithmeticError):
        return None  # tensors have an answer where numbers have none, as for a division by zero
    return result if len(result.items) <= h.LARGEST else None


def _input(node: Call, k: int) -> Host:
    found = node.host(k)
    if found is None:
        raise NotOnHostError
    return found


def _ints(node: Call, k: int) -> tuple[int, ...]:
    found = _input(node, k)
    if not found.constant:
        raise NotOnHostError
    return tuple(int(i) for i in found.items if not isinstance(i, Expr))


def _shape(node: Call) -> Host:
    rank = node.rank(0)
    if rank is None:
        raise NotOnHostError
    axes = range(rank)[slice(node.attr_int("start", 0), node.attr_int("end", rank))]
    return Host(tuple(node.size(0, axis) for axis in axes), ir.DataType.INT64, vector=True)


def _size(node: Call) -> Host:
    rank = node.rank(0)
    if rank is None:
        x = node.emission.atom(node.value(0), node.node)
        return Host((call(f"{member(x, 'numel').text}"),), ir.DataType.INT64, vector=False)
    total: h.Item = 1
    for axis in range(rank):
        total = h.multiply(total, node.size(0, axis))
    return Host((total,), ir.DataType.INT64, vector=False)


def _gather(node: Call) -> Host:
    data, indices = _input(node, 0), _input(node, 1)
    if not data.vector:
        raise NotOnHostError
    positions = _ints(node, 1)
    if any(not -len(data.items) <= p < len(data.items) for p in positions):
        raise NotOnHostError
    return Host(tuple(data.items[p] for p in positions), data.dtype, indices.vector)


def _slice(node: Call) -> Host:
    data = _input(node, 0)
    starts, stops = _ints(node, 1), _ints(node, 2)
    step = _ints(node, 4)[0] if node.has(4) else 1
    if not data.vector or len(starts) != 1:
        raise NotOnHostError
    stop: int | None = stops[0]
    if step < 0 and stops[0] < -len(data.items):
        stop = None
    return Host(data.items[slice(starts[0], stop, step)], data.dtype, vector=True)


def _concat(node: Call) -> Host:
    parts = [_input(node, k) for k in node]
    if not all(p.vector for p in parts):
        raise NotOnHostError
    return Host(tuple(i for p in parts for i in p.items), parts[0].dtype, vector=True)


def _unsqueeze(node: Call) -> Host:
    data = _input(node, 0)
    if data.vector or len(_ints(node, 1)) != 1:
        raise NotOnHostError
    return Host(data.items, data.dtype, vector=True)


def _squeeze(node: Call) -> Host:
    data = _input(node, 0)
    if len(data.items) != 1:
        raise NotOnHostError
    return Host(data.items, data.dtype, vector=False)


def _reshape(node: Call) -> Host:
    data, target = _input(node, 0), _ints(node, 1)
    if len(target) > 1 or (not target and len(data.items) != 1) or (target and target[0] == 0):
        raise NotOnHostError
    return Host(data.items, data.dtype, vector=bool(target))


def _constant_of_shape(node: Call) -> Host:
    target = _ints(node, 0)
    value: Host | None = Host((0.0,), ir.DataType.FLOAT, vector=True)
    if "value" in node.node.attributes:
        value = h.from_tensor(node.node.attributes["value"].as_tensor())
    if value is None or value.dtype in h.FLOATS or len(target) > 1 or (target and target[0] > h.LARGEST):
        raise NotOnHostError
    return Host(value.items * (target[0] if target else 1), value.dtype, vector=bool(target))


def _range(node: Call) -> Host:
    bounds = [_input(node, k) for k in range(3)]
    if bounds[0].dtype not in h.WHOLE or not all(b.constant for b in bounds):
        raise NotOnHostError
    start, stop, step = (_ints(node, k)[0] for k in range(3))
    if not step or len(range(start, stop, step)) > h.LARGEST:
        raise NotOnHostError
    return Host(tuple(range(start, stop, step)), bounds[0].dtype, vector=True)


def _elementwise(node: Call) -> Host:
    return h.elementwise(node.node.op_type, [_input(node, k) for k in node])


def _where(node: Call) -> Host:
    return h.where(_input(node, 0), _input(node, 1), _input(node, 2))


def _cast(node: Call) -> Host:
    return h.cast(_input(node, 0), ir.DataType(node.attr_int("to", 0)))


def _single(node: Call) -> Host:
    return h.map_items(node.node.op_type, _input(node, 0))


def _reduce(node: Call) -> Host:
    data = _input(node, 0)
    if not data.vector or not data.items:
        raise NotOnHostError
    return h.reduce(node.node.op_type, data, bool(node.attr_int("keepdims", 1)))


RULES: Final[dict[str, Callable[[Call], Host]]] = {
    "Shape": _shape,
    "Size": _size,
    "Gather": _gather,
    "Slice": _slice,
    "Concat": _concat,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Reshape": _reshape,
    "ConstantOfShape": _constant_of_shape,
    "Range": _range,
    "Where": _where,
    "Cast": _cast,
    "Div": _elementwise,
    **dict.fromkeys(h.BINARY, _elementwise),
    **dict.fromkeys(("Neg", "Abs", "Sqrt", "Floor", "Ceil", "Not"), _single),
    **dict.fromkeys(("ReduceProd", "ReduceSum", "ReduceMax", "ReduceMin"), _reduce),
}
