"""Finding the nodes that a rule's equations describe, by backtracking: nothing is decided before it must be.

A commutative operator tries the other order where the first leads nowhere, so that one rule stands for all orders of
all operators in it. Work at one root is bounded, for specs are hostile, and so are graphs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Final, cast

import onnx_ir as ir

from qtnc.errors import printable
from qtnc.rules.found import Bound, Match, values_of
from qtnc.rules.kinds import misfit
from qtnc.rules.likeness import equal, holds, is_same, sample_of
from qtnc.rules.measures import article, is_const, op_word, title
from qtnc.rules.operators import is_commutative, operators_of
from qtnc.rules.pattern import ANY, Attribute, Capture, Either, Equation, Literal, Operation, Pattern, parts_of
from qtnc.rules.schemas import attribute_of
from qtnc.source import Span

MAX_STEPS: Final = 20_000
"""Parts of patterns that are tried at one root before it counts as no match."""

FEW_STEPS: Final = 500
"""The same where other roots took many before: more than a pattern has parts, and little in a graph of any size."""


class Budget:
    """Steps that are left to all roots of a graph; where none are, each has few of its own."""

    def __init__(self, nodes: int) -> None:
        self._left = 10 * MAX_STEPS + 50 * nodes

    @property
    def at_one_root(self) -> int:
        """How many the next root has."""
        return min(max(self._left, FEW_STEPS), MAX_STEPS)

    def spend(self, steps: int) -> None:
        """Take off what a root took."""
        self._left -= steps


@dataclass(frozen=True)
class Miss:
    """Why a pattern does not fit: the condition that failed after most of it had been matched.

    Attributes
    ----------
    reason : what is there instead.
    span : the part of the pattern, where it has a place in a text.
    at : the value or node that was looked at.
    met : how many parts of the pattern had been matched.
    """

    reason: str
    span: Span | None = None
    at: ir.Value | ir.Node | None = None
    met: int = 0


class _ExhaustedError(Exception):
    """Matching took too many steps."""


@dataclass(frozen=True)
class _State:
    """What is matched by now."""

    bound: Mapping[str, Bound] = field(default_factory=dict)
    named: Mapping[str, ir.Node] = field(default_factory=dict)
    nodes: tuple[ir.Node, ...] = ()
    met: int = 0

    def bind(self, name: str, thing: Bound) -> "_State":
        return replace(self, bound={**self.bound, name: thing}, met=self.met + 1) if name != ANY else self.on()

    def on(self) -> "_State":
        return replace(self, met=self.met + 1)


@dataclass(frozen=True)
class Matcher:
    """Finds the equations of one rule; the last of them is the root."""

    equations: tuple[Equation, ...]

    @cached_property
    def roots(self) -> frozenset[tuple[str, str]]:
        """Operators that a root may have, as ``(domain, op_type)``."""
        return operators_of(self.equations[-1].operation.ops)

    @property
    def root_words(self) -> tuple[str, ...]:
        """The same as a pattern writes them, sorted."""
        return tuple(sorted(f"{domain}.{op}" if domain else op for domain, op in self.roots))

    @cached_property
    def defined(self) -> Mapping[str, tuple[Equation, int]]:
        """Equation and place of every result that has a name."""
        return {n: (e, k) for e in self.equations for k, n in enumerate(e.outputs) if n != ANY}

    @cached_property
    def names(self) -> frozenset[str]:
        """Every name that stands for a value, a node, a size or an attribute."""
        found = set(self.defined)
        for part in chain.from_iterable(parts_of(e.operation) for e in self.equations):
            if isinstance(part, Capture):
                found |= {
                    part.name,
                    *(a for a in (part.kind.axes.sizes if part.kind.axes else ()) if isinstance(a, str)),
                }
            elif isinstance(part, Operation):
                found |= {part.name or ANY, *(a.bound for a in part.attributes if a.bound)}
        return frozenset(found - {ANY})

    @cached_property
    def reach(self) -> int:
        """How many operations it describes, and so how far from its root a node of it can be."""
        return sum(isinstance(part, Operation) for e in self.equations for part in parts_of(e.operation))

    def find(self, node: ir.Node, opset: int, budget: Budget | None = None) -> Match | Miss:
        """Match at a root.

        Parameters
        ----------
        opset : of ONNX, by which operators have their defaults.
        budget : of all roots together, where there are many.
        """
        most = budget.at_one_root if budget else MAX_STEPS
        search = _Search(self, opset, most)
        try:
            state = next(search.whole(node), None)
        except _ExhaustedError:
            return Miss(f"more than {most:,} ways to match were tried here", self.equations[-1].span, node)
        finally:
            if budget:
                budget.spend(search.steps)
        if state is None:
            return search.miss
        return Match(node, state.nodes, state.bound, state.named)


class _Search:
    """One search at one root."""

    def __init__(self, matcher: Matcher, opset: int, most: int) -> None:
        self.matcher = matcher
        self.opset = opset
        self.miss = Miss("nothing was tried")
        self._farthest = -1
        self._most = most
        self.steps = 0

    def whole(self, root: ir.Node) -> Iterator[_State]:
        """All equations, the last at a root, those it does not lead to among the readers of what is bound."""
        for state in self.node(self.matcher.equations[-1].operation, root, _State(), self.matcher.equations[-1]):
            yield from self.rest(state)

    def rest(self, state: _State) -> Iterator[_State]:
        """Equations that are still to be found."""
        open_one = next((e for e in self.matcher.equations if not self._is_found(e, state)), None)
        if open_one is None:
            yield state
            return
        here, tried = state.nodes[0].graph, set(state.nodes)
        for node in self._near(open_one, state):
            self._step()
            if node in tried or node.graph is not here or not _is(node, open_one.operation):
                continue
            tried.add(node)
            for further in self.node(open_one.operation, node, state, open_one):
                yield from self.rest(further)
        if len(tried) == len(state.nodes):
            self.fail(state, f"no other node reads the same for `{_short(open_one)}`", open_one.span, state.nodes[0])

    @staticmethod
    def _near(equation: Equation, state: _State) -> Iterator[ir.Node]:
        """Nodes that read what an equation reads and is bound."""
        for part in equation.operation.inputs:
            if isinstance(part, Capture):
                for value in values_of(state.bound.get(part.name)):
                    yield from (use.node for use in value.uses())

    def _step(self) -> None:
        self.steps += 1
        if self.steps > self._most:
            raise _ExhaustedError

    def _is_found(self, equation: Equation, state: _State) -> bool:
        named = [name for name in equation.outputs if name != ANY]
        return any(name in state.named for name in named) if named else equation is self.matcher.equations[-1]

    def value(self, pattern: Pattern, value: ir.Value | None, state: _State) -> Iterator[_State]:
        """Ways in which a pattern fits a value; None is an input that is missing."""
        self._step()
        match pattern:
            case Either(parts):
                for part in parts:
                    yield from self.value(part, value, state)
            case Capture() if pattern.name in self.matcher.defined:
                yield from self.result(pattern, value, state)
            case Capture():
                yield from self.capture(pattern, value, state)
            case Literal():
                yield from self.literal(pattern, value, state)
            case Operation():
                node = value.producer() if value is not None else None
                if node is None or value is None:
                    self.fail(state, f"{_called(value)} is made by no node", pattern.span, value)
                elif value.index() != 0:
                    self.fail(state, f"{_called(value)} is not the first result of its node", pattern.span, value)
                else:
                    yield from self.node(pattern, node, state)

    def result(self, capture: Capture, value: ir.Value | None, state: _State) -> Iterator[_State]:
        """A name that another equation defines: the result of a node that fits it."""
        if capture.name in state.bound:
            yield from self.again(capture, value, state)
            return
        equation, place = self.matcher.defined[capture.name]
        node = value.producer() if value is not None else None
        if node is None or value is None:
            self.fail(state, f"{_called(value)} is made by no node", capture.span, value)
        elif value.index() != place:
            self.fail(state, f"{_called(value)} is not result {place} of its node", capture.span, value)
        else:
            yield from self.node(equation.operation, node, state, equation)

    def again(self, capture: Capture, value: ir.Value | None, state: _State) -> Iterator[_State]:
        """A name that is bound: the same value, or a constant that holds the same."""
        before = state.bound[capture.name]
        if before is value or (isinstance(before, ir.Value) and value is not None and is_same(before, value)):
            yield state.on()
        else:
            self.fail(state, f"{_called(value)} is not `{capture.name}`", capture.span, value)

    def capture(self, capture: Capture, value: ir.Value | None, state: _State) -> Iterator[_State]:
        """Any value of a kind."""
        if value is None:
            if capture.optional:
                yield state.bind(capture.name, None)
            else:
                self.fail(state, "an input is missing", capture.span)
            return
        found = misfit(capture.kind, value, state.bound)
        if isinstance(found, str):
            self.fail(state, f"{_called(value)} {found}", capture.span, value)
            return
        state = replace(state, bound={**state.bound, **found})
        if capture.name in state.bound:
            yield from self.again(capture, value, state)
        else:
            yield state.bind(capture.name, value)

    def literal(self, literal: Literal, value: ir.Value | None, state: _State) -> Iterator[_State]:
        """A constant that holds a number."""
        if value is None or not is_const(value):
            self.fail(state, f"{_called(value)} is no constant", literal.span, value)
        elif not holds(literal.value, value):
            self.fail(state, f"{_called(value)} holds {sample_of(value)}", literal.span, value)
        else:
            yield state.on()

    def node(
        self, operation: Operation, node: ir.Node, state: _State, equation: Equation | None = None
    ) -> Iterator[_State]:
        """Ways in which an operation fits a node; of an equation, whose results get their names."""
        if not _is(node, operation):
            self.fail(state, f"{_title(node)} is {printable(article(op_word(node)))}", operation.span, node)
            return
        outputs = equation.outputs if equation else ()
        if len(outputs) > len(node.outputs):
            self.fail(
                state, f"{_title(node)} has {len(node.outputs)} results", equation.span if equation else None, node
            )
            return
        state = replace(state.on(), nodes=state.nodes if node in state.nodes else (*state.nodes, node))
        names = dict(zip(outputs, node.outputs, strict=False))
        if operation.name:
            names[operation.name] = node.outputs[0]
        for name, value in names.items():
            if name != ANY:
                state = replace(state, bound={**state.bound, name: value}, named={**state.named, name: node})
        attributed = self.attributes(operation.attributes, node, state)
        if attributed is not None:
            yield from self.inputs(operation, node, attributed)

    def attributes(self, wanted: Sequence[Attribute], node: ir.Node, state: _State) -> _State | None:
        """Attributes in order; None where one differs."""
        for attribute in wanted:
            found = attribute_of(node, attribute.name, self.opset)
            if attribute.bound is None:
                agrees = equal(found, attribute.value)
            else:
                known = state.bound.get(attribute.bound, found)
                agrees = found is not None and equal(found, known)
            if not agrees:
                shown = "has none" if found is None else f"is {found!r:.60}"
                self.fail(state, f"`{attribute.name}` of {_title(node)} {shown}", attribute.span, node)
                return None
            if attribute.bound is not None and attribute.bound not in state.bound:
                state = state.bind(attribute.bound, found)
            else:
                state = state.on()
        return state

    def inputs(self, operation: Operation, node: ir.Node, state: _State) -> Iterator[_State]:
        """Inputs in order, or in any order that fits where the operator does not mind."""
        patterns = list(operation.inputs)
        rest = patterns.pop() if patterns and isinstance(patterns[-1], Capture) and patterns[-1].rest else None
        given = list(node.inputs)
        while given and given[-1] is None:
            given.pop()
        if rest is None and len(given) > len(patterns):
            self.fail(state, f"{_title(node)} reads {len(given)} inputs", operation.span, node)
            return
        given += [None] * (len(patterns) - len(given))
        yield from self.assign(
            patterns, given, cast("Capture | None", rest), is_commutative(node.domain, node.op_type), state
        )

    def assign(
        self, patterns: list[Pattern], given: list[ir.Value | None], rest: Capture | None, free: bool, state: _State
    ) -> Iterator[_State]:
        """Give each pattern an input of its own, ``free`` in any order, and the others to ``rest``."""
        if not patterns:
            if rest is None:
                yield state
            elif all(value is not None for value in given):
                yield from self.remaining(rest, tuple(v for v in given if v is not None), state)
            return
        tried: set[ir.Value | None] = set()
        for k in range(len(given)) if free else range(1):
            if given[k] in tried:
                continue
            tried.add(given[k])
            for further in self.value(patterns[0], given[k], state):
                yield from self.assign(patterns[1:], given[:k] + given[k + 1 :], rest, free, further)

    def remaining(self, rest: Capture, values: tuple[ir.Value, ...], state: _State) -> Iterator[_State]:
        """All inputs that are left, each of the kind."""
        for value in values:
            found = misfit(rest.kind, value, state.bound)
            if isinstance(found, str):
                self.fail(state, f"{_called(value)} {found}", rest.span, value)
                return
            state = replace(state, bound={**state.bound, **found})
        if state.bound.get(rest.name, values) == values:
            yield state.bind(rest.name, values)
        else:
            self.fail(state, f"these are not `{rest.name}...`", rest.span)

    def fail(self, state: _State, reason: str, span: Span | None = None, at: ir.Value | ir.Node | None = None) -> None:
        """Keep the reason that was met farthest on."""
        if state.met > self._farthest:
            self._farthest, self.miss = state.met, Miss(reason, span, at, state.met)


def _is(node: ir.Node, operation: Operation) -> bool:
    return (node.domain, node.op_type) in operators_of(operation.ops)


def _called(value: ir.Value | None) -> str:
    return "a missing input" if value is None else f"`{title(value)}`"


def _title(node: ir.Node) -> str:
    return f"node `{title(node)}`" if node.name else f"the node of `{title(node.outputs[0])}`"


def _short(equation: Equation) -> str:
    return equation.span.text if equation.span else " | ".join(equation.operation.ops)
