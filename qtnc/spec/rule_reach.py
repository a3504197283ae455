"""Which equations of a rule are ever found: those that the root leads to, and those that read what is known by then."""

from collections.abc import Iterator, Sequence

from qtnc.rewrite.pattern import ANY, Capture, Equation, parts_of
from qtnc.spec.rule_patterns import names_of
from qtnc.spec.values import RefusedError


def unreached(equations: Sequence[Equation]) -> Iterator[RefusedError]:
    """Say of equations that they read themselves, or that nothing leads to them."""
    made = {name: equation for equation in equations for name in equation.outputs if name != ANY}
    reads = {id(e): [made[name] for name in _captures(e) if name in made] for e in equations}
    circular = [e for e in equations if any(_leads(reads, other, e) for other in reads[id(e)])]
    for equation in circular:
        if equation.span:
            yield RefusedError("what this makes is what it reads", equation.span, "a graph has no circles")
    if circular or not equations:
        return
    found: dict[int, Equation] = {}
    _take(equations[-1], reads, found)
    left = list(equations)
    while True:
        left = [e for e in left if id(e) not in found]
        bound = {name for e in found.values() for name in (*e.outputs, *names_of(e.operation)) if name != ANY}
        near = next((e for e in left if bound & _direct(e)), None)
        if near is None:
            break
        _take(near, reads, found)
    for equation in left:
        if equation.span:
            way_out = "the last `match` leads to what it reads; others read directly what is found by then"
            yield RefusedError("nothing leads to this `match`", equation.span, way_out)


def _captures(equation: Equation) -> list[str]:
    return [part.name for part in parts_of(equation.operation) if isinstance(part, Capture)]


def _direct(equation: Equation) -> set[str]:
    return {part.name for part in equation.operation.inputs if isinstance(part, Capture)}


def _take(equation: Equation, reads: dict[int, list[Equation]], found: dict[int, Equation]) -> None:
    """Find an equation and all that it leads to."""
    stack = [equation]
    while stack:
        one = stack.pop()
        if id(one) not in found:
            found[id(one)] = one
            stack += reads[id(one)]


def _leads(reads: dict[int, list[Equation]], start: Equation, goal: Equation) -> bool:
    found: dict[int, Equation] = {}
    _take(start, reads, found)
    return id(goal) in found
