"""Emission of reductions, and of what orders or accumulates along an axis."""

from collections.abc import Callable
from typing import Final

import onnx_ir as ir

from qtnc.backends.torch.expression import Expr, Part, binary, call, member, method
from qtnc.backends.torch.host import FLOATS
from qtnc.backends.torch.node_view import Call, Unpacked

Emit = Callable[[Call], Expr]


def _axes(node: Call) -> tuple[int, ...] | None:
    """Axes to reduce; None is all of them."""
    axes = node.attr_ints("axes")
    if node.has(1):
        axes = node.ints(1, "axes")
    return tuple(dict.fromkeys(axes or ())) or None  # torch takes none twice


def _noop(node: Call) -> bool:
    return _axes(node) is None and bool(node.attr_int("noop_with_empty_axes", 0))


def _dim(axes: tuple[int, ...] | None) -> Part:
    return axes[0] if axes is not None and len(axes) == 1 else axes


def _reduction(name: str, all_axes: Part = None, keeps_dtype: bool = True) -> Emit:
    def emit(node: Call) -> Expr:
        if _noop(node):
            return node.tensor(0)
        axes = _axes(node)
        options: dict[str, Part] = {"dim": all_axes if axes is None else _dim(axes)}
        if node.attr_int("keepdims", 1):
            options["keepdim"] = True
        if not keeps_dtype and node.dtype(0) not in (*FLOATS, ir.DataType.INT64):
            options["dtype"] = node.dtype_text(node.dtype(0))
        return method(node.tensor(0), name, **options)

    return emit


def _mean(node: Call) -> Expr:
    if node.dtype(0) not in FLOATS:
        node.refuse("means of integers are not supported")
    return _reduction("mean")(node)


def _product(node: Call) -> Expr:
    """Torch multiplies along one axis at a time."""
    if _noop(node):
        return node.tensor(0)
    rank = node.need_rank(0)
    axes = sorted((a % rank for a in _axes(node) or range(rank)), reverse=True)
    x = node.tensor(0)
    keep: dict[str, Part] = {"keepdim": True} if node.attr_int("keepdims", 1) else {}
    if node.dtype(0) not in (*FLOATS, ir.DataType.INT64):
        keep["dtype"] = node.dtype_text(node.dtype(0))
    for axis in axes:
        x = method(x, "prod", dim=axis, **keep)
    return x


def _of(before: Callable[[Expr], Expr], after: Callable[[Expr], Expr]) -> Emit:
    """A sum of something, and then something of the sum."""

    def emit(node: Call) -> Expr:
        x = before(node.tensor(0))
        if _noop(node):
            return after(x)
        options: dict[str, Part] = {"dim": _dim(_axes(node))}
        if node.attr_int("keepdims", 1):
            options["keepdim"] = True
        if node.dtype(0) not in (*FLOATS, ir.DataType.INT64):
            options["dtype"] = node.dtype_text(node.dtype(0))
        return after(method(x, "sum", **options))

    return emit


def _same(x: Expr) -> Expr:
    return x


def _square(x: Expr) -> Expr:
    return binary("**", x, 2)


def _absolute(x: Expr) -> Expr:
    return method(x, "abs")


def _root(x: Expr) -> Expr:
    return call("torch.sqrt", x)


def _log(x: Expr) -> Expr:
    return call("torch.log", x)


def _logsumexp(node: Call) -> Expr:
    axes = _axes(node) or tuple(range(node.need_rank(0)))
    keep: dict[str, Part] = {"keepdim": True} if node.attr_int("keepdims", 1) else {}
    return call("torch.logsumexp", node.tensor(0), dim=_dim(axes), **keep)


def _arg(name: str) -> Emit:
    def emit(node: Call) -> Expr:
        axis = node.attr_int("axis", 0)
        keep: dict[str, Part] = {"keepdim": True} if node.attr_int("keepdims", 1) else {}
        if not node.attr_int("select_last_index", 0):
            return method(node.tensor(0), name, dim=axis, **keep)
        size = node.size(0, axis)
        found = method(method(node.tensor(0), "flip", axis), name, dim=axis, **keep)
        return binary("-", size - 1 if not isinstance(size, Expr) else binary("-", size, 1), found)

    return emit


def _top_k(node: Call) -> Unpacked:
    count = node.numbers(1, "k")[0]
    options: dict[str, Part] = {"dim": node.attr_int("axis", -1)}
    if not node.attr_int("largest", 1):
        options["largest"] = False
    if not node.attr_int("sorted", 1):
        options["sorted"] = False
    return Unpacked(call("torch.topk", node.tensor(0), count, **options), ("top", "top_index"))


def _cumulative(node: Call) -> Expr:
    axis = node.ints(1, "axis")[0]
    options: dict[str, Part] = {}
    if node.dtype(0) not in (*FLOATS, ir.DataType.INT64):
        options["dtype"] = node.dtype_text(node.dtype(0))
    exclusive, backwards = node.attr_int("exclusive", 0), node.attr_int("reverse", 0)
    x = node.atom(0) if exclusive else node.tensor(0)
    total = method(method(x, "flip", axis) if backwards else x, "cumsum", dim=axis, **options)
    if backwards:
        total = method(total, "flip", axis)
    return binary("-", total, x) if exclusive else total


def _hardmax(node: Call) -> Expr:
    x = node.atom(0)
    axis = node.attr_int("axis", -1)
    best = method(x, "argmax", dim=axis, keepdim=True)
    return method(call("torch.zeros_like", x), "scatter", axis, best, 1.0)


def _non_zero(node: Call) -> Expr:
    return member(call("torch.nonzero", node.tensor(0)), "T")


OPS: Final[dict[str, Callable[[Call], Expr | Unpacked]]] = {
    "ReduceMean": _mean,
    "ReduceSum": _reduction("sum", keeps_dtype=False),
    "ReduceMax": _reduction("amax", all_axes=()),
    "ReduceMin": _reduction("amin", all_axes=()),
    "ReduceProd": _product,
    "ReduceSumSquare": _of(_square, _same),
    "ReduceL1": _of(_absolute, _same),
    "ReduceL2": _of(_square, _root),
    "ReduceLogSum": _of(_same, _log),
    "ReduceLogSumExp": _logsumexp,
    "ArgMax": _arg("argmax"),
    "ArgMin": _arg("argmin"),
    "TopK": _top_k,
    "CumSum": _cumulative,
    "Hardmax": _hardmax,
    "NonZero": _non_zero,
}
