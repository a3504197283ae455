"""What a rule looks for, from tree to pattern: operators known, names bound, kinds without contradiction."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar
from typing import Literal as OneOf

from qtnc.rules.functions import Sort
from qtnc.rules.operators import CLASSES
from qtnc.rules.pattern import ANY, Axis, Capture, Either, Equation, Kind, Literal, Operation, Pattern, parts_of
from qtnc.source import Span
from qtnc.spec import atoms
from qtnc.spec.rules import tree as rule_tree
from qtnc.spec.rules.attributes import looked_for
from qtnc.spec.rules.kinds import kind_of, merged
from qtnc.spec.rules.names import Known, Names, number_of
from qtnc.spec.rules.operators import ANYTHING, Operator, is_operator, operators
from qtnc.spec.rules.problems import Problems
from qtnc.spec.values import RefusedError, count, listing
from qtnc.spec.wording import clip

Place = OneOf["input", "last", "inside"]
"""Where a pattern stands: among inputs, at their end, or elsewhere, as an alternative."""

Found = TypeVar("Found")

_NOTHING: Final = Capture(ANY)
"""In the place of what is wrong."""


@dataclass
class Patterns:
    """Reads the equations of one rule, or of one example, into ``names``; what is wrong is added to ``problems``."""

    names: Names
    problems: Problems
    found: dict[Span | None, list[Operator]] = field(default_factory=dict)  # by the place of their operation

    def equations(self, nodes: Sequence[rule_tree.Equation]) -> tuple[Equation, ...]:
        """Read equations, the names of all results first: any of them may read any other's."""
        for node in nodes:
            for name in node.names:
                if name.text != ANY:
                    self.trying(self.names.declare, name, Known("result", Sort.VALUE, name.span))
        return tuple(self.equation(node) for node in nodes)

    def equation(self, node: rule_tree.Equation) -> Equation:
        """``a, b = OPERATION``."""
        read = self.pattern(node.pattern, "inside")
        if not isinstance(read, Operation):
            if read is not _NOTHING:
                way_out = "alternatives stand among inputs; for several operators write `(Mul | Div)(x, s)`"
                self.refuse("an equation is about one operation", node.pattern, way_out)
            read = Operation((), (), span=node.pattern.span)
        elif read.ops:
            most = max((one.results for one in self.found[read.span]), default=ANYTHING)
            if len(node.names) > most:
                self.refuse(f"`{' | '.join(read.ops)}` has {_counted(most, 'result')}", node.names[most])
        return Equation(tuple(name.text for name in node.names), read, node.span)

    def refuse(self, message: str, node: "rule_tree.Pattern | atoms.Name", way_out: str | None = None) -> None:
        """Note a mistake and go on."""
        self.problems.append(RefusedError(message, node.span, way_out))

    def trying(self, act: Callable[..., Found], *arguments: Any) -> Found | None:
        """Do something, or note why not."""
        try:
            return act(*arguments)
        except RefusedError as problem:
            self.problems.append(problem)
            return None

    def pattern(self, node: rule_tree.Pattern, place: Place) -> Pattern:
        """Read a pattern; what stands in the place of a wrong one is of no use but to go on."""
        try:
            match node:
                case atoms.Number():
                    return Literal(number_of(node), node.span)
                case atoms.Sequence():
                    return Literal(tuple(self.number(item) for item in node.items), node.span)
                case atoms.Name():
                    raise RefusedError(
                        f"`{clip(node.text)}` is an operator", node.span, f"write `{clip(node.text)}(...)`"
                    )
                case rule_tree.Capture():
                    return self.capture(node, place)
                case rule_tree.Labelled():
                    return self.labelled(node)
                case rule_tree.Operation():
                    return self.operation(node, None)
                case rule_tree.Alternatives():
                    return self.either(node)
        except RefusedError as problem:
            self.problems.append(problem)
            return _NOTHING

    def number(self, node: atoms.Value) -> float | int:
        """One of a list of numbers."""
        value = self.names.lets.value(node) if isinstance(node, atoms.Name) and self.names.let(node.text) else node
        if not isinstance(value, atoms.Number):
            raise RefusedError(f"`{clip(node.span.text)}` is no number", node.span, "a list holds numbers: `[0, 2, 1]`")
        return number_of(value)

    def capture(self, node: rule_tree.Capture, place: Place) -> Pattern:
        """A name, or a value that the spec lets."""
        name, mark = node.name, node.mark.text if node.mark else None
        if mark is None and not node.kinds and self.names.let(name.text) and name.text not in self.names.known:
            return self.literal(name)
        kind = self.trying(kind_of, node.kinds, self.size) or Kind()
        if name.text != ANY:
            self.bind(node, kind)
        if mark == "?" and place == "inside":
            raise RefusedError("only an input may be missing", node.span, "`?` stands among inputs: `Gemm(x, w, b?)`")
        if mark == "..." and place != "last":
            raise RefusedError("`...` is about all inputs that are left", node.span, "it stands behind the last one")
        return Capture(name.text, kind, mark == "?", mark == "...", node.span)

    def literal(self, name: atoms.Name) -> Literal:
        """The number or the list that a name stands for."""
        value = self.names.lets.value(name)
        if isinstance(value, atoms.Number):
            return Literal(number_of(value), name.span)
        if isinstance(value, atoms.Sequence):
            return Literal(tuple(self.number(item) for item in value.items), name.span)
        raise RefusedError(f"`{clip(name.text)}` is no number", name.span, "name what is looked for otherwise")

    def bind(self, node: rule_tree.Capture, kind: Kind) -> None:
        """Know a value by a name; the same name again is the same value, of all kinds that are said of it."""
        name, rest = node.name, node.mark is not None and node.mark.text == "..."
        before = self.names.known.get(name.text)
        role = "others" if rest else "capture"
        if before is not None and before.role == "result" and not node.kinds and node.mark is None:
            return
        if before is not None and before.role == "result":
            place = before.span.seen_from(name.span)
            message = f"`{clip(name.text)}` is a result already, at {place}"
            raise RefusedError(message, node.span, "of what an equation makes nothing else is said; leave it out")
        if before is None or before.role != role:
            self.names.declare(name, Known("others" if rest else "capture", _sort(kind), name.span, kind))
            return
        both = merged(before.kind, kind)
        if both is None:
            message = f"`{clip(name.text)}` is of another kind at {before.span.seen_from(name.span)}"
            raise RefusedError(message, node.span, "the same name is the same value")
        self.names.known[name.text] = replace(before, kind=both, sort=_sort(both))

    def size(self, name: atoms.Name) -> Axis:
        """What the name of a size stands for."""
        if name.text == ANY:
            return None
        if self.names.sees(name):
            return count("a size", self.names.lets.value(name), least=0)
        before = self.names.known.get(name.text)
        if before is None or before.role != "size":
            self.names.declare(name, Known("size", Sort.NUMBER, name.span))
        return name.text

    def labelled(self, node: rule_tree.Labelled) -> Pattern:
        """``f: OPERATION``."""
        if not isinstance(node.part, rule_tree.Operation):
            self.pattern(node.part, "inside")
            raise RefusedError("a name before `:` is that of one operation", node.name.span, "name each of them")
        return self.operation(node.part, node.name)

    def operation(self, node: rule_tree.Operation, name: atoms.Name | None) -> Operation:
        """A node: its operators, what it reads, its attributes."""
        words = _operators(node)
        found = self.found[node.span] = []
        for word in words:
            found += self.trying(operators, word.text, word.span) or ()
        if name is not None and name.text != ANY:
            self.trying(self.names.declare, name, Known("operation", Sort.VALUE, name.span, operators=tuple(found)))
        last = len(node.inputs) - 1
        inputs = tuple(self.pattern(part, "last" if k == last else "input") for k, part in enumerate(node.inputs))
        title = " | ".join(word.text for word in words)
        if len(words) == len({word.text for word in words}) and found:
            self.counts(node, inputs, found)
        attributes = [self.trying(looked_for, one, found, title, self.names) for one in node.attributes]
        said: set[str] = set()
        for one in node.attributes:
            if one.name.text in said:
                self.refuse(f"`{clip(one.name.text)}` is said twice", one.name)
            said.add(one.name.text)
        ops = tuple(
            word.text.removeprefix("ai.onnx.") if is_operator(word.text.removeprefix("ai.onnx.")) else word.text
            for word in words
        )
        label = name.text if name is not None and name.text != ANY else None
        return Operation(ops, inputs, tuple(a for a in attributes if a), label, node.span)

    def counts(self, node: rule_tree.Operation, inputs: Sequence[Pattern], found: Sequence[Operator]) -> None:
        """Refuse more inputs than an operator has, or fewer."""
        rest = bool(inputs) and isinstance(inputs[-1], Capture) and inputs[-1].rest
        given = len(inputs) - rest
        classes = any(word.text in CLASSES for word in _operators(node))
        for one in found if not classes else ():
            if given > one.most:
                self.refuse(f"`{one.word}` reads {_counted(one.most, 'input')} at most", node.inputs[one.most])
            elif given < one.least and not rest:
                way_out = "`_` stands for any value, `...` behind a name for all that are left"
                self.refuse(f"`{one.word}` reads {_counted(one.least, 'input')}, not {given}", node, way_out)
        if classes and (given > max(o.most for o in found) or (given < min(o.least for o in found) and not rest)):
            most = max(o.most for o in found)
            self.refuse(f"`{clip(node.op.span.text)}` reads {_counted(most, 'input')}, not {given}", node)

    def either(self, node: rule_tree.Alternatives) -> Either:
        """Alternatives, which bind the same names."""
        parts = tuple(self.pattern(part, "inside") for part in node.parts)
        bound = [names_of(part) for part in parts]
        for part, names in zip(node.parts, bound, strict=True):
            missing = sorted(set().union(*bound) - names)
            if missing and _NOTHING not in parts:
                told = listing(map(clip, missing[:5]))
                self.refuse(f"this alternative binds no {told}", part, "all of them bind the same names")
        return Either(parts, node.span)


def names_of(part: Pattern) -> set[str]:
    """Every name that a pattern binds."""
    return {name for name, _ in bindings(part)}


def bindings(part: Pattern) -> Iterator[tuple[str, Pattern]]:
    """Names that a pattern binds, each with the part that binds it."""
    for one in parts_of(part):
        if isinstance(one, Capture):
            yield from ((name, one) for name in (one.name, *_sizes(one.kind)) if name != ANY)
        elif isinstance(one, Operation):
            names = (one.name, *(attribute.bound for attribute in one.attributes))
            yield from ((name, one) for name in names if name)


def _sizes(kind: Kind) -> Iterator[str]:
    return (size for size in (kind.axes.sizes if kind.axes else ()) if isinstance(size, str))


def _sort(kind: Kind) -> Sort:
    return Sort.CONST if kind.const else Sort.VALUE


def _operators(node: rule_tree.Operation) -> tuple[atoms.Name, ...]:
    """The words for operators of an operation.

    Raises
    ------
    RefusedError
        If something else stands there.
    """
    op = node.op
    parts = op.parts if isinstance(op, rule_tree.Alternatives) else (op,)
    words = [
        part.name if isinstance(part, rule_tree.Capture) and not (part.mark or part.kinds) else part for part in parts
    ]
    for word in words:
        if not isinstance(word, atoms.Name):
            way_out = "before inputs stand operators: `(Mul | Div)(x, s)`"
            raise RefusedError(f"`{clip(word.span.text)}` is no operator", word.span, way_out)
    return tuple(word for word in words if isinstance(word, atoms.Name))


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
