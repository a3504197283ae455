"""Sizes of axes, followed from node to node while the code is emitted.

ONNX's own inference loses symbolic sizes at the first Reshape to a computed shape. Here targets are Python numbers,
so sizes stay known, and code says ``sequence`` where it would have said ``x.shape[1]``.
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import TYPE_CHECKING, Final

from qtnc.backends.torch.expression import Expr
from qtnc.backends.torch.host import Axes, Size, add, multiply, subtract
from qtnc.ir.dialect import is_qtn, product_of
from qtnc.tensor.network import spread

if TYPE_CHECKING:
    from qtnc.backends.torch.node_view import Call

DEEPEST = 2
"""Operations beyond which the expression of a size is not worth carrying."""


def follow(node: "Call") -> Axes | None:
    """Axes of the first output, with None for sizes that are not known; None when not even their number is."""
    if is_qtn(node.node):
        x = _axes(node, 0)
        product = product_of(node.node)
        return None if x is None else (*spread(x[:-1], product.stack), product.features[1])
    rule = _RULES.get(node.node.op_type) if not node.node.domain else None
    found = rule(node) if rule else None
    return None if found is None else tuple(_bounded(s) for s in found)


def _bounded(size: Size) -> Size:
    return None if isinstance(size, Expr) and (size.depth > DEEPEST or not size.natural) else size


def _axes(node: "Call", k: int) -> Axes | None:
    return node.emission.axes(node.value(k)) if node.has(k) else None


def _same(node: "Call") -> Axes | None:
    return _axes(node, 0)


def meet(a: Size, b: Size) -> Size:
    """Size of an axis that two sizes broadcast to."""
    if a == b or b == 1:
        return a
    if a == 1:
        return b
    return next((s for s in (a, b) if isinstance(s, int)), None)


def broadcast(parts: Sequence[Axes]) -> Axes:
    """Axes that several shapes broadcast to."""
    rank = max((len(p) for p in parts), default=0)
    result: list[Size] = [1] * rank
    for part in parts:
        padded = (1,) * (rank - len(part)) + part
        result = [meet(a, b) for a, b in zip(result, padded, strict=True)]
    return tuple(result)


def _broadcast(node: "Call") -> Axes | None:
    parts = [_axes(node, k) for k in node if node.has(k)]
    known = [p for p in parts if p is not None]
    return broadcast(known) if len(known) == len(parts) else None


def _matmul(node: "Call") -> Axes | None:
    a, b = _axes(node, 0), _axes(node, 1)
    if a is None or b is None or len(a) < 2 or len(b) < 2:
        return None
    return (*broadcast([a[:-2], b[:-2]]), a[-2], b[-1])


def _gemm(node: "Call") -> Axes | None:
    a, b = _axes(node, 0), _axes(node, 1)
    if a is None or b is None:
        return None
    return (a[1 if node.attr_int("transA", 0) else 0], b[0 if node.attr_int("transB", 0) else 1])


def _transpose(node: "Call") -> Axes | None:
    x, perm = _axes(node, 0), node.attr_ints("perm")
    if x is None:
        return None
    return tuple(x[p] for p in perm) if perm is not None else x[::-1]


def _reshape(node: "Call") -> Axes | None:
    target, x = node.host(1), _axes(node, 0)
    if target is None:
        return None
    copies = not node.attr_int("allowzero", 0)
    axes: list[Size] = []
    for k, item in enumerate(target.items):
        axes.append((x[k] if x is not None and k < len(x) else None) if item == 0 and copies else item)
    if -1 in axes:
        axes[axes.index(-1)] = _remainder(x, [a for a in axes if a != -1])
    return tuple(axes)


def _remainder(x: Axes | None, others: list[Size]) -> Size:
    """What -1 stands for, when the sizes that are not numbers cancel."""
    if x is None or None in x or None in others:
        return None
    left = [s for s in x if isinstance(s, Expr)]
    for size in (s for s in others if isinstance(s, Expr)):
        if size not in left:
            return None
        left.remove(size)
    over, under = (prod(int(s) for s in part if isinstance(s, int)) for part in (x, others))
    if not under or over % under or len(left) > 1:
        return None
    return multiply(left[0], over // under) if left else over // under


def _unsqueeze(node: "Call") -> Axes | None:
    x, axes = _axes(node, 0), node.host(1)
    if x is None or axes is None or not axes.constant:
        return None
    rank = len(x) + len(axes.items)
    new = {int(a) % rank for a in axes.items if not isinstance(a, Expr)}
    old = iter(x)
    return tuple(1 if k in new else next(old) for k in range(rank))


def _squeeze(node: "Call") -> Axes | None:
    x, axes = _axes(node, 0), node.host(1)
    if x is None or axes is None or not axes.constant:
        return None
    gone = {int(a) % len(x) for a in axes.items if not isinstance(a, Expr)}
    return tuple(s for k, s in enumerate(x) if k not in gone)


def _expand(node: "Call") -> Axes | None:
    x, target = _axes(node, 0), node.host(1)
    return None if x is None or target is None else broadcast([x, target.items])


def _concat(node: "Call") -> Axes | None:
    parts = [_axes(node, k) for k in node]
    known = [p for p in parts if p is not None]
    if len(known) != len(parts):
        return None
    axis = node.attr_int("axis", 0) % len(known[0])
    total: Size = 0
    for part in known:
        size = part[axis]
        total = None if total is None or size is None else add(total, size)
    return tuple(total if k == axis else s for k, s in enumerate(known[0]))


def _gather(node: "Call") -> Axes | None:
    x, index = _axes(node, 0), _axes(node, 1)
    if x is None or index is None:
        return None
    axis = node.attr_int("axis", 0) % len(x)
    return (*x[:axis], *index, *x[axis + 1 :])


def _range(node: "Call") -> Axes | None:
    bounds = [node.host(k) for k in range(3)]
    start, stop, step = ((b.scalar if b is not None else None) for b in bounds)
    if start is None or stop is None or step != 1:
        return (None,)
    return (subtract(stop, start),)


def _constant_of_shape(node: "Call") -> Axes | None:
    target = node.host(0)
    return None if target is None else target.items


def _slice(node: "Call") -> Axes | None:
    x = _axes(node, 0)
    hosts = [node.host(k) for k in (1, 2, 3, 4)]
    if x is None or hosts[0] is None or hosts[1] is None or (node.has(3) and hosts[2] is None):
        return None
    axes = hosts[2].items if hosts[2] is not None else tuple(range(len(hosts[0].items)))
    result = list(x)
    for axis, start, stop in zip(axes, hosts[0].items, hosts[1].items, strict=True):
        if isinstance(axis, Expr):
            return None
        same = start == 0 and not node.has(4) and stop == result[int(axis)]
        result[int(axis)] = result[int(axis)] if same else None
    return tuple(result)


def _reduce(node: "Call") -> Axes | None:
    x = _axes(node, 0)
    axes = node.attr_ints("axes")
    if node.has(1):
        host = node.host(1)
        axes = tuple(int(a) for a in host.items if not isinstance(a, Expr)) if host is not None else None
    if x is None or not axes:
        return None
    gone = {a % len(x) for a in axes}
    if node.attr_int("keepdims", 1):
        return tuple(1 if k in gone else s for k, s in enumerate(x))
    return tuple(s for k, s in enumerate(x) if k not in gone)


_SAME = (
    "Sqrt Abs Exp Log Erf Tanh Sigmoid Relu Floor Ceil Round Sign Sin Cos IsNaN IsInf Neg Not Reciprocal Cast CastLike "
    "Identity Gelu Softmax LogSoftmax LayerNormalization RMSNormalization Clip Trilu CumSum Dropout HardSwish Mish "
    "Softplus LeakyRelu Elu RotaryEmbedding"
)
_MEET = "Add Sub Mul Div Pow Mod Min Max Sum Where And Or Xor Equal Less LessOrEqual Greater GreaterOrEqual"
_REDUCE = "ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare"

_RULES: Final[dict[str, Callable[["Call"], Axes | None]]] = {
    **dict.fromkeys(_SAME.split(), _same),
    **dict.fromkeys(_MEET.split(), _broadcast),
    **dict.fromkeys(_REDUCE.split(), _reduce),
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Expand": _expand,
    "Concat": _concat,
    "Gather": _gather,
    "Range": _range,
    "ConstantOfShape": _constant_of_shape,
    "Slice": _slice,
}
