"""Kinds of values that a rule looks for: ``const float32 [m, n]``."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import onnx_ir as ir

from qtnc.errors import did_you_mean
from qtnc.rules.pattern import Axes, Axis, Kind
from qtnc.spec import atoms
from qtnc.spec.rules import tree as rule_tree
from qtnc.spec.values import RefusedError, count, listing
from qtnc.spec.wording import clip

_WORDS: Final = {"float": "float32", "double": "float64"}
"""Words of the language for what ONNX calls otherwise."""

_ONNX: Final = tuple(dtype.name.lower() for dtype in ir.DataType if dtype != ir.DataType.UNDEFINED)

ELEMENTS: Final[Mapping[str, str]] = MappingProxyType({_WORDS.get(name, name): name for name in _ONNX})
"""Element types by the words for them, with ONNX's names."""

GROUPS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "float": ("float16", "bfloat16", "float32", "float64"),
        "int": tuple(word for word in ELEMENTS if word.startswith(("int", "uint"))),
    }
)
"""Words for several element types."""

SHAPES: Final[Mapping[str, Kind]] = MappingProxyType(
    {"const": Kind(const=True), "scalar": Kind(size=1), "vector": Kind(rank=1), "matrix": Kind(rank=2)}
)
"""Words for what is no element type."""

RANK: Final = "rank"
"""The word that a number follows."""

Size = Callable[[atoms.Name], Axis]


def kind_of(parts: tuple[rule_tree.Kind, ...], size: Size) -> Kind:
    """What kinds behind a colon say together.

    Parameters
    ----------
    parts
        As written, in order.
    size
        What the name of a size stands for.

    Raises
    ------
    RefusedError
        If there is no such kind, or two contradict each other.
    """
    kind = Kind()
    for part in parts:
        said = _kind(part, size)
        both = merged(kind, said)
        if both is None:
            message = f"`{clip(part.span.text)}` contradicts what stands before it"
            raise RefusedError(message, part.span, "no value is of both kinds")
        kind = both
    return kind


def _kind(part: rule_tree.Kind, size: Size) -> Kind:
    match part:
        case rule_tree.Axes():
            return Kind(axes=_axes(part, size))
        case rule_tree.Counted(name, number):
            if name.text != RANK:
                raise RefusedError(f"`{clip(name.text)}` takes no number", part.span, f"as in `{RANK} 3`, or `[3]`")
            return Kind(rank=count(f"`{RANK}`", number, least=0))
        case atoms.Name():
            if part.text == RANK:
                raise RefusedError(f"`{RANK}` takes a number", part.span, f"as in `{RANK} 3`")
            return _word(part)


def _word(word: atoms.Name) -> Kind:
    text = word.text
    if text in SHAPES:
        return SHAPES[text]
    if text in GROUPS:
        return Kind(dtypes=frozenset(ELEMENTS[one] for one in GROUPS[text]))
    if text in ELEMENTS:
        return Kind(dtypes=frozenset([ELEMENTS[text]]))
    way_out = did_you_mean(text, (*SHAPES, RANK, *GROUPS, *ELEMENTS))
    others = (
        f"kinds are {listing((*SHAPES, *GROUPS, RANK))}, element types such as `float32`, and shapes such as `[m, 64]`"
    )
    raise RefusedError(f"unknown kind `{clip(text)}`", word.span, way_out or others)


def _axes(node: rule_tree.Axes, size: Size) -> Axes:
    rests = [k for k, axis in enumerate(node.axes) if isinstance(axis, rule_tree.Sign)]
    if len(rests) > 1:
        raise RefusedError("`...` stands once in a shape", node.axes[rests[1]].span)
    sizes: list[Axis] = []
    for axis in node.axes:
        if isinstance(axis, atoms.Number):
            sizes.append(count("a size", axis, least=0))
        elif isinstance(axis, atoms.Name):
            sizes.append(size(axis))
    return Axes(tuple(sizes), rests[0] if rests else None)


def merged(a: Kind, b: Kind) -> Kind | None:
    """Both at once; None where no value is."""
    dtypes = a.dtypes if b.dtypes is None else b.dtypes if a.dtypes is None else a.dtypes & b.dtypes
    ranks = {kind.rank for kind in (a, b) if kind.rank is not None}
    sizes = {kind.size for kind in (a, b) if kind.size is not None}
    axes = a.axes if b.axes is None else b.axes
    both = Kind(a.const or b.const, dtypes, next(iter(ranks), None), next(iter(sizes), None), axes)
    if dtypes == frozenset() or len(ranks) > 1 or (a.axes and b.axes and a.axes != b.axes):
        return None
    return both if axes is None or _fits(both, axes) else None


def _fits(kind: Kind, axes: Axes) -> bool:
    rank, told = len(axes.sizes), [size for size in axes.sizes if isinstance(size, int)]
    if kind.rank is not None and (rank > kind.rank or (axes.rest is None and rank != kind.rank)):
        return False
    return kind.size is None or all(size == kind.size for size in told)
