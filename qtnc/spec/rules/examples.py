"""Graphs of examples: every operator is one, every value has a type and a shape."""

from collections.abc import Iterator, Sequence

from qtnc.rules.operators import CLASSES
from qtnc.rules.pattern import ANY, Capture, Either, Equation, Operation, Pattern, parts_of
from qtnc.spec.values import RefusedError
from qtnc.spec.wording import clip


def settled(equations: Sequence[Equation]) -> Iterator[RefusedError]:
    """Say of what parts of an example no graph can be made."""
    known = {name for equation in equations for name in equation.outputs}
    for equation in equations:
        for part in parts_of(equation.operation):
            said = _open(part, known)
            if said is not None and part.span is not None:
                yield RefusedError(said[0], part.span, said[1])
            if isinstance(part, Capture):
                known.add(part.name)


def _open(part: Pattern, known: set[str]) -> tuple[str, str] | None:
    match part:
        case Either():
            return "an example has no alternatives", "write an example for each"
        case Operation(ops) if len(ops) > 1 or ops[0] in CLASSES:
            return "an example is about one operator", "write an example for each"
        case Operation(attributes=attributes) if any(attribute.bound for attribute in attributes):
            name = next(attribute.name for attribute in attributes if attribute.bound)
            return f"`{clip(name)}` has no value", f"as in `{clip(name)} = 1`"
        case Capture(optional=True) | Capture(rest=True):
            return "in an example it is known what an operator reads", "leave out what is missing"
        case Capture(name=name, kind=kind) if name == ANY or name not in known:
            sizes = kind.axes.sizes if kind.axes else None
            has_shape = kind.size == 1 or (sizes is not None and kind.axes is not None and kind.axes.rest is None)
            if kind.dtypes and has_shape and all(isinstance(size, int) for size in sizes or ()):
                return None
            title = clip(name)
            return f"`{title}` has no type and shape", f"as in `{title}: float[2, 3]`, where it is first named"
    return None
