"""Emission of If, Loop and Scan: each body becomes a method, and what it reads from outside its first arguments."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import onnx_ir as ir

from qtnc.backends.torch.emission import Statement
from qtnc.backends.torch.expression import Expr, Part, attribute, call, condition, local, subscript
from qtnc.backends.torch.host import Host
from qtnc.backends.torch.names import value_hint
from qtnc.backends.torch.node_view import Call, Unpacked
from qtnc.backends.torch.program import live


@dataclass(frozen=True)
class Body:
    """A graph within a node as a method: locals read from outside, its own inputs, statements, what it returns."""

    name: str
    takes: tuple[int, ...]
    statements: tuple[Statement, ...]
    results: tuple[Expr, ...]
    always_tuple: bool

    @property
    def uses(self) -> frozenset[int | str]:
        """Locals and attributes that it reads."""
        return frozenset(use for part in (*(s.expr for s in self.statements), *self.results) for use in part.uses)


def _body(node: Call, graph: ir.Graph, hint: str, *, always_tuple: bool) -> tuple[Expr, tuple[int, ...]]:
    """Write a body; return the method that it became and the locals that it reads from outside."""
    emission = node.emission
    name = emission.weights.claim(hint)
    own = [emission.new_local(value.name or "input") for value in graph.inputs]
    with emission.apart() as written:
        for value, number in zip(graph.inputs, own, strict=True):
            emission.define(value, local(number))
        emission.emit_graph(graph)
        results = tuple(emission.output(value) for value in graph.outputs)
        statements = tuple(live(written, results))
    made = {*own, *(target for statement in statements for target in statement.targets)}
    read = {use for part in (*(s.expr for s in statements), *results) for use in part.uses}
    captured = tuple(sorted(use for use in read if isinstance(use, int) and use not in made))
    emission.bodies.append(Body(name, (*captured, *own), statements, results, always_tuple))
    return attribute(name), captured


def _if(node: Call) -> Expr | Unpacked:
    made = []
    for branch in ("then", "else"):
        function, captured = _body(
            node, node.node.attributes[f"{branch}_branch"].as_graph(), branch, always_tuple=False
        )
        made.append(_called(function, [local(number) for number in captured]))
    chosen = condition(node.tensor(0), *made)
    names = tuple(value_hint(value) for value in node.node.outputs)
    return chosen if len(names) == 1 else Unpacked(chosen, names)


def _loop(node: Call) -> Expr | Unpacked:
    graph = node.node.attributes["body"].as_graph()
    times: Part = None
    if node.has(0):
        host = node.host(0)
        times = host.scalar if host is not None else node.tensor(0)
    going = node.tensor(1) if node.has(1) else node.emission.materialise(Host((True,), ir.DataType.BOOL, vector=False))
    states = [node.tensor(k) for k in range(2, len(node.node.inputs))]
    return _outputs(node, call("repeat", _bound(node, graph, "loop"), times, going, tuple(states)))


def _scan(node: Call) -> Expr | Unpacked:
    graph, count = node.node.attributes["body"].as_graph(), node.attr_int("num_scan_inputs", 1)
    turned = ("scan_input_axes", "scan_output_axes", "scan_input_directions", "scan_output_directions")
    if any(any(node.attr_ints(name) or ()) for name in turned):
        node.refuse("it scans along another axis than the first, or backwards")
    values = [node.tensor(k) for k in node]
    states, sequences = values[: len(values) - count], values[len(values) - count :]
    return _outputs(node, call("scan", _bound(node, graph, "step"), tuple(states), tuple(sequences)))


def _outputs(node: Call, made: Expr) -> Expr | Unpacked:
    """The items of a tuple, or its only one."""
    names = tuple(value_hint(value) for value in node.node.outputs)
    return subscript(made, 0) if len(names) == 1 else Unpacked(made, names)


def _bound(node: Call, graph: ir.Graph, hint: str) -> Expr:
    """A body as a function of its own inputs alone."""
    function, captured = _body(node, graph, hint, always_tuple=True)
    return call("partial", function, *(local(number) for number in captured)) if captured else function


def _called(function: Expr, arguments: Sequence[Part]) -> Expr:
    made = call(function.text, *arguments)
    return Expr(made.text, uses=made.uses | function.uses, depth=made.depth)


OPS: Final[dict[str, Callable[[Call], Expr | Unpacked]]] = {"If": _if, "Loop": _loop, "Scan": _scan}
