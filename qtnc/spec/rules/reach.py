"""Which equations of a rule are ever found: those that the root leads to, and those that read what is known by then."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter

from qtnc.rules.pattern import ANY, Capture, Equation, parts_of
from qtnc.spec.rules.patterns import names_of
from qtnc.spec.values import RefusedError


def unreached(equations: Sequence[Equation]) -> Iterator[RefusedError]:
    """Say of equations that they read themselves, or that nothing leads to them; the last one is the root."""
    made = {name: k for k, equation in enumerate(equations) for name in equation.outputs if name != ANY}
    reads = [[made[name] for name in _captures(equation) if name in made] for equation in equations]
    try:
        TopologicalSorter(dict(enumerate(reads))).prepare()
    except CycleError as error:
        for k in sorted(set(error.args[1])):
            yield _refused(equations[k], "what this makes is what it reads", "a graph has no circles")
        return
    waiting: defaultdict[str, list[int]] = defaultdict(list)
    for k, equation in enumerate(equations):
        for name in _direct(equation):
            waiting[name].append(k)
    found: set[int] = set()
    stack = [len(equations) - 1]
    while stack:
        k = stack.pop()
        if k in found:
            continue
        found.add(k)
        stack += reads[k]
        for name in (*equations[k].outputs, *names_of(equations[k].operation)):
            stack += waiting.pop(name, [])
    for k, equation in enumerate(equations):
        if k not in found:
            way_out = "the last `match` leads to what it reads; others read directly what is found by then"
            if _leads(k, len(equations) - 1, reads):
                way_out = "matching begins at the last `match`, which this one reads: write this one last"
            yield _refused(equation, "nothing leads to this `match`", way_out)


def _leads(start: int, end: int, reads: Sequence[Sequence[int]]) -> bool:
    """Whether an equation reads what another makes, through others too."""
    seen, stack = {start}, [start]
    while stack:
        new = {*reads[stack.pop()]} - seen
        seen |= new
        stack += new
    return end in seen


def _refused(equation: Equation, message: str, way_out: str) -> RefusedError:
    assert equation.span is not None  # noqa: S101 - it is of a text
    return RefusedError(message, equation.span, way_out)


def _captures(equation: Equation) -> list[str]:
    return [part.name for part in parts_of(equation.operation) if isinstance(part, Capture)]


def _direct(equation: Equation) -> set[str]:
    """Names among what an equation reads itself."""
    return {part.name for part in equation.operation.inputs if isinstance(part, Capture)} - {ANY}
