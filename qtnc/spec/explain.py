"""Why a selector is empty: the part of it that let nothing through, and what was nearest."""

import re
from collections.abc import Iterable, Sequence

from qtnc.errors import Diagnostic, InternalError, did_you_mean
from qtnc.ir.dtypes import dtype_word
from qtnc.spec import program
from qtnc.spec.facts import LACKING, LayerFacts, axes
from qtnc.spec.members import Members, fits, holds
from qtnc.spec.pattern import MAX_LENGTH, Pattern
from qtnc.spec.values import listing
from qtnc.spec.wording import clip


def explain(select: program.Select, layers: Sequence[LayerFacts], members: Members) -> Diagnostic:
    """Go through the conditions in order, and say which one let nothing through, and of what."""
    if not layers:
        return Diagnostic(f"`{select.name}` selects nothing", select.span, "the model has no layers with weights")
    part, left = _culprit(select.predicate, layers, members)
    return Diagnostic(f"`{select.name}` selects nothing", part.span, _reason(part, left, members))


def _culprit(
    predicate: program.Predicate, layers: Sequence[LayerFacts], members: Members
) -> tuple[program.Predicate, Sequence[LayerFacts]]:
    """Find the part that let nothing through, and what had come so far."""
    left = layers
    for part in _conjuncts(predicate):
        kept = [layer for layer in left if holds(part, layer, members)]
        if not kept:
            # Nothing is upstream of nothing: the fault is further in.
            lost = isinstance(part, program.Reach) and not any(holds(part.base, x, members) for x in layers)
            return _culprit(part.base, layers, members) if lost and isinstance(part, program.Reach) else (part, left)
        left = kept
    raise InternalError(f"`{predicate.span.text}` is empty, but no part of it is")


def _conjuncts(predicate: program.Predicate) -> list[program.Predicate]:
    if isinstance(predicate, program.Top):
        return [*_conjuncts(predicate.base), predicate]
    if not isinstance(predicate, program.AllOf):
        return [predicate]
    return [conjunct for part in predicate.parts for conjunct in _conjuncts(part)]


def _reason(part: program.Predicate, left: Sequence[LayerFacts], members: Members) -> str:
    """Say why none of ``left``, the layers that met all before, meets ``part``."""
    among = _count(left, len(members.places))
    match part:
        case program.OpIs(op):
            ops = sorted({layer.op for layer in left})
            near = did_you_mean(op, ops)
            return f"{among}, none is a `{op}`; " + (near or f"they are {listing(ops)}")
        case program.NameIs(pattern):
            return f"{among}, none is named so; {_nearest(pattern, [layer.name for layer in left])}"
        case program.NumberIs() | program.NumberIn() | program.DivisibleBy():
            found = [(n, layer) for layer in left if (n := members.number(part.field, layer)) is not None]
            return f"{among}, " + (_nearest_number(part, found) if found else LACKING[part.field])
        case program.DepthIs(comparator):
            layer = left[0] if comparator in ("<", "<=") else left[-1]
            word = "first" if layer is left[0] else "last"
            depth = float(members.depth(layer))
            return f"{among}, none has {part.span.text}; the {word} is `{layer.name}` with {depth:.1%}"
        case program.ShapeIs(_, sides):
            turned = next((layer for layer in left if fits(layer.shape[::-1], sides)), None)
            if turned is not None:
                return f"{among}, none has {part.span.text}; `{turned.name}` is stored as {axes(turned.shape)}"
            shapes = dict.fromkeys(axes(layer.shape) for layer in left)
            return f"{among}, none has {part.span.text}; they are {_some(shapes)}"
        case program.DtypeIs():
            dtypes = dict.fromkeys(dtype_word(layer.dtype) for layer in left)
            return f"{among}, none has {part.span.text}; they are {_some(dtypes)}"
        case program.Reach(direction, base):
            to = "to" if direction == "upstream" else "from"
            return f"{among}, none has a path {to} the layers of `{clip(base.span.text)}`; they are {_names(left)}"
        case program.NoneOf(inner):
            return f"{among}, all are in `{clip(inner.span.text)}`; they are {_names(left)}"
        case _:
            return f"{among}, none meets this; they are {_names(left)}"


def _nearest_number(
    part: program.NumberIs | program.NumberIn | program.DivisibleBy, found: Sequence[tuple[int, LayerFacts]]
) -> str:
    """Say which number comes nearest."""
    none = f"none has {part.span.text}"
    if isinstance(part, program.DivisibleBy):
        return f"{none}; the numbers are {_some(f'{n:,}' for n in sorted({n for n, _ in found}))}"
    values = (part.value,) if isinstance(part, program.NumberIs) else part.values
    match part:
        case program.NumberIs(comparator="<" | "<="):
            word, (number, layer) = "smallest", min(found, key=lambda pair: pair[0])
        case program.NumberIs(comparator=">" | ">="):
            word, (number, layer) = "largest", max(found, key=lambda pair: pair[0])
        case program.NumberIs(comparator="!="):
            return f"{none}; all have just that"
        case _:
            word, (number, layer) = "nearest", min(found, key=lambda pair: min(abs(pair[0] - v) for v in values))
    return f"{none}; the {word} is `{layer.name}` with {number:,}"


def _count(left: Sequence[LayerFacts], total: int) -> str:
    ops = {layer.op for layer in left}
    kind = f"{next(iter(ops))} layer" if len(ops) == 1 else "layer"
    layers, meet = (f"{kind}s", "meet") if len(left) != 1 else (kind, "meets")
    return f"of {len(left):,} {layers}" + (f" that {meet} the conditions before" if len(left) < total else "")


def _nearest(pattern: Pattern, names: Sequence[str]) -> str:
    """Offer names that were perhaps meant."""
    wider = f"*{pattern.text.strip('*')}*"
    if pattern.kind == "glob" and len(wider) <= MAX_LENGTH:
        inside = Pattern(wider, "glob")
        found = [name for name in names if inside.matches(name)]
        if found:
            return f"a glob matches whole names, and `{inside.text}` would match {_some(found)}"
    parts = {part for name in names for part in re.split(r"[./]", name)}
    odd = [word for word in re.findall(r"[A-Za-z]\w+", pattern.text) if not any(word in part for part in parts)]
    hints = (*(did_you_mean(word, parts) for word in odd), did_you_mean(pattern.text, names))
    return next((hint for hint in hints if hint), f"they are {_some(names)}")


def _names(layers: Iterable[LayerFacts]) -> str:
    return _some(layer.name for layer in layers)


def _some(names: Iterable[str], shown: int = 3) -> str:
    """Show the first names and count the others."""
    every = list(names)
    if len(every) <= shown:
        return listing(every)
    return ", ".join(f"`{name}`" for name in every[:shown]) + f" and {len(every) - shown:,} more"
