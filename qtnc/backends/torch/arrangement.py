"""Emission of what moves, joins and cuts axes."""

from collections.abc import Callable
from math import prod
from typing import Final

from qtnc.backends.torch.expression import Expr, Part, call, member, method, quoted, span, subscript
from qtnc.backends.torch.host import Item
from qtnc.backends.torch.node_view import Call, Unpacked

Emit = Callable[[Call], Expr]
_FAR = 2**31 - 1
"""Bounds of Slice at or beyond this mean "to the end"; exporters write INT64_MAX or INT32_MAX."""


def _reshape(node: Call) -> Expr:
    target = node.host(1)
    copies = not node.attr_int("allowzero", 0)
    if target is None:
        return _reshape_by_data(node, copies)
    if 0 in target.items and copies:
        node.atom(0)
    items = [node.size(0, k) if item == 0 and copies else item for k, item in enumerate(target.items)]
    return method(node.tensor(0), "reshape", *items) if items else method(node.tensor(0), "reshape", ())


def _reshape_by_data(node: Call, copies: bool) -> Expr:
    """A target that depends on data: read it back, a zero meaning "as in x"."""
    x = node.atom(0)
    sizes = method(node.tensor(1), "tolist")
    if copies:
        filled = f"[n or {x.text}.shape[k] for k, n in enumerate({sizes.text})]"
        sizes = Expr(filled, uses=x.uses | sizes.uses, depth=3)
    return method(x, "reshape", sizes)


def _flatten(node: Call) -> Expr:
    axis = node.attr_int("axis", 1)
    rank = node.need_rank(0)
    axis = axis + rank if axis < 0 else axis
    if axis == 1 and rank > 1:
        return method(node.tensor(0), "flatten", 1)
    dims = node.axes(0) or ()
    right = [d for d in dims[axis:] if isinstance(d, int)]
    if len(right) == rank - axis:
        return method(node.tensor(0), "reshape", -1, prod(right))
    left = [d for d in dims[:axis] if isinstance(d, int)]
    if len(left) == axis:
        return method(node.tensor(0), "reshape", prod(left), -1)
    return method(method(node.tensor(0), "flatten", axis), "flatten", 0, axis - 1)


def _transpose(node: Call) -> Expr:
    perm = node.attr_ints("perm")
    if perm is None:
        perm = tuple(reversed(range(node.need_rank(0))))
    moved = [k for k, axis in enumerate(perm) if k != axis]
    if not moved:
        return node.tensor(0)
    if len(perm) == 2:
        return member(node.tensor(0), "T")
    if len(moved) == 2:
        return method(node.tensor(0), "transpose", *moved)
    return method(node.tensor(0), "permute", *perm)


def _unsqueeze(node: Call) -> Expr:
    axes = node.ints(1, "axes")
    if len(axes) > 1 and min(axes) < 0:
        rank = node.need_rank(0) + len(axes)
        axes = tuple(a % rank for a in axes)
    x = node.tensor(0)
    for axis in sorted(axes):
        x = method(x, "unsqueeze", axis)
    return x


def _squeeze(node: Call) -> Expr:
    if not node.has(1):
        return method(node.tensor(0), "squeeze")
    axes = node.ints(1, "axes")
    return method(node.tensor(0), "squeeze", axes[0] if len(axes) == 1 else axes)


def _expand(node: Call) -> Expr:
    target = node.host(1)
    if target is None:
        x, shape = node.atom(0), node.tensor(1)
        return method(x, "expand", call("torch.broadcast_shapes", member(x, "shape"), method(shape, "tolist")))
    rank = node.rank(0)
    if rank is not None:
        sizes = [_expanded(node, rank, k, target.items) for k in range(max(rank, len(target.items)))]
        if all(s == -1 for s in sizes):
            return node.tensor(0)
        if None not in sizes:
            return method(node.tensor(0), "expand", *sizes)
    x = node.atom(0)
    return method(x, "expand", call("torch.broadcast_shapes", member(x, "shape"), target.items))


def _expanded(node: Call, rank: int, k: int, target: tuple[Item, ...]) -> Item | None:
    """What ``Tensor.expand`` takes for axis ``k`` of the result; None when only the run can tell."""
    total = max(rank, len(target))
    axis, wanted = k - (total - rank), k - (total - len(target))
    if wanted < 0:
        return -1
    item = target[wanted]
    if axis < 0:
        return item
    size = (node.axes(0) or ())[axis]
    if item == 1 or (size is not None and size == item):
        return -1
    return item if size == 1 or not isinstance(item, Expr) else None


def _concat(node: Call) -> Expr:
    parts = tuple(node.tensor(k) for k in node)
    return parts[0] if len(parts) == 1 else call("torch.cat", parts, dim=node.attr_int("axis", 0))


def _split(node: Call) -> Unpacked | Expr:
    axis = node.attr_int("axis", 0)
    count = len(node.node.outputs)
    if count == 1:
        return node.tensor(0)
    if not node.has(1):
        return Unpacked(method(node.tensor(0), "chunk", count, dim=axis), ("part",))
    sizes = node.numbers(1, "sizes")
    even = sizes[0] if len(set(sizes)) == 1 else sizes
    return Unpacked(method(node.tensor(0), "split", even, dim=axis), ("part",))


def _slice(node: Call) -> Expr:
    starts = node.numbers(1, "starts")
    stops = node.numbers(2, "ends")
    axes = node.ints(3, "axes") if node.has(3) else tuple(range(len(starts)))
    strides = node.ints(4, "steps") if node.has(4) else (1,) * len(starts)
    if node.rank(0) is None and len({a < 0 for a in axes}) > 1:
        node.refuse("its axes count from both ends of an unknown rank")
    rank = node.rank(0)
    cuts: dict[int, tuple[Item, Item, int]] = {}
    for axis, start, stop, stride in zip(axes, starts, stops, strides, strict=True):
        cuts[axis % rank if rank is not None else axis] = (start, stop, stride)
    backwards = {axis: cut for axis, cut in cuts.items() if cut[2] < 0}
    x = node.atom(0) if backwards else node.tensor(0)
    for axis, cut in backwards.items():
        x = _cut_backwards(node, x, axis, cut)
    forward = {axis: _forward(cut) for axis, cut in cuts.items() if cut[2] > 0}
    return select(x, {axis: cut for axis, cut in forward.items() if cut.text != ":"}, rank)


def _forward(cut: tuple[Item, Item, int]) -> Expr:
    start, stop, stride = cut
    far = not isinstance(stop, Expr) and stop >= _FAR
    return span(None if start == 0 else start, None if far else stop, None if stride == 1 else stride)


def _cut_backwards(node: Call, x: Expr, axis: int, cut: tuple[Item, Item, int]) -> Expr:
    """Torch has no negative steps: a whole axis is flipped, a part is indexed."""
    start, stop, stride = cut
    whole = (start == -1 or (not isinstance(start, Expr) and start >= _FAR)) and stop is not None
    if whole and not isinstance(stop, Expr) and stop <= -_FAR and stride == -1:
        return method(x, "flip", axis)
    size = node.size(0, axis)
    last: Item = start if isinstance(start, Expr) else min(start, _FAR)
    bounds = method(call("slice", last, None if _before(stop) else stop, stride), "indices", size)
    index = Expr(f"list(range(*{bounds.text}))", uses=bounds.uses, depth=2)
    return select(x, {axis: index}, node.rank(0))


def _before(stop: Item) -> bool:
    return not isinstance(stop, Expr) and stop <= -_FAR


def select(x: Expr, items: dict[int, Expr], rank: int | None) -> Expr:
    """``x[...]`` with one item per axis, from the nearer end; axes are all of one sign when the rank is not known."""
    if not items:
        return x
    colon = span(None, None)
    axes = sorted(items)
    if rank is not None and axes[0] > 0 and rank - axes[0] <= axes[-1] + 1:
        axes = [a - rank for a in axes]
        items = {a - rank: item for a, item in items.items()}
    if axes[0] < 0:
        return subscript(x, "...", *(items.get(a, colon) for a in range(axes[0], 0)))
    return subscript(x, *(items.get(a, colon) for a in range(axes[-1] + 1)))


def _tile(node: Call) -> Expr:
    return method(node.tensor(0), "tile", node.numbers(1, "repeats"))


def _pad(node: Call) -> Expr:
    pads = node.numbers(1, "pads")
    count = len(pads) // 2
    axes = node.ints(3, "axes") if node.has(3) else tuple(range(count))
    rank = node.need_rank(0)
    by_axis = {a % rank: (pads[k], pads[k + count]) for k, a in enumerate(axes)}
    first = min((a for a, pair in by_axis.items() if pair != (0, 0)), default=rank)
    if first == rank:
        return node.tensor(0)
    flat: list[Part] = [p for a in reversed(range(first, rank)) for p in by_axis.get(a, (0, 0))]
    mode = node.attr_text("mode", "constant")
    if mode == "constant":
        value = node.host(2)
        if node.has(2) and value is None:
            node.refuse("its padding value depends on data")
        fill: dict[str, Part] = {"value": value.scalar} if value is not None and value.scalar != 0 else {}
        return call("F.pad", node.tensor(0), tuple(flat), **fill)
    words = {"reflect": "reflect", "edge": "replicate", "wrap": "circular"}
    if mode not in words or not rank - 3 <= first or rank - first not in (rank - 1, rank - 2):
        node.refuse(f"padding {rank - first} of {rank} axes in this mode has no torch function")
    return call("F.pad", node.tensor(0), tuple(flat), mode=quoted(words[mode]))


def _trilu(node: Call) -> Expr:
    diagonal = node.numbers(1, "diagonal")[0] if node.has(1) else 0
    name = "triu" if node.attr_int("upper", 1) else "tril"
    return method(node.tensor(0), name, *([] if diagonal == 0 else [diagonal]))


OPS: Final[dict[str, Callable[[Call], Expr | Unpacked]]] = {
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Expand": _expand,
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Tile": _tile,
    "Pad": _pad,
    "Trilu": _trilu,
}
