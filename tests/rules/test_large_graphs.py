"""Work on graphs grows as these do: counted in calls, of which a clock knows nothing."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from qtnc.backends.options import BACKENDS
from qtnc.plugins.allowed import Allowed
from qtnc.rules.driving import Applied, apply_rules
from qtnc.rules.matching import FEW_STEPS, MAX_STEPS, Budget
from qtnc.rules.rule import SpecRule
from qtnc.spec.read import read_spec
from qtnc.structures.registry import STRUCTURES

FLOAT = ir.TensorType(ir.DataType.FLOAT)
SMALL, LARGE = 60, 240

Build = Callable[["Graph", int], None]


class Graph:
    """A graph of matrices, made node by node."""

    def __init__(self) -> None:
        self.x = ir.Value(name="x", type=FLOAT, shape=ir.Shape([2, 4]))
        self.graph = ir.Graph([self.x], [], nodes=[], opset_imports={"": 18}, name="g")
        self.known: dict[float, ir.Value] = {}

    def __call__(self, op: str, *read: ir.Value) -> ir.Value:
        node = ir.node(op, read)
        node.name = f"{op}_{len(self.graph)}"
        node.outputs[0].name, node.outputs[0].type, node.outputs[0].shape = node.name, FLOAT, ir.Shape([2, 4])
        self.graph.append(node)
        return node.outputs[0]

    def constant(self, number: float, *shape: int) -> ir.Value:
        if number not in self.known:
            tensor = ir.Tensor(np.full(shape, number, np.float32), name=f"c{number}")
            held = ir.Value(name=tensor.name, type=FLOAT, shape=tensor.shape, const_value=tensor)
            self.graph.register_initializer(held)
            self.known[number] = held
        return self.known[number]

    def model(self) -> ir.Model:
        if not self.graph.outputs:
            self.graph.outputs.append(self.graph[-1].outputs[0])
        return ir.Model(self.graph, ir_version=10)


def chain(*ops: str) -> Build:
    def build(graph: Graph, size: int) -> None:
        value = graph.x
        for k in range(size):
            value = graph(ops[k % len(ops)], value)

    return build


def adds(graph: Graph, size: int) -> None:
    value = graph.x
    for _ in range(size):
        value = graph("Add", value, graph.constant(1))


def pushed(graph: Graph, size: int) -> None:
    value = graph.x
    for _ in range(size):
        value = graph("Abs", value)
    graph("Neg", value)


def handed_out(graph: Graph, size: int) -> None:
    hub = graph("Neg", graph.x)
    graph.graph.outputs.extend([graph("Relu", hub) for _ in range(size)])


def siblings(graph: Graph, size: int) -> None:
    for k in range(size):
        graph("Add", graph.x, graph.constant(1 + k % 2))


def pairs(graph: Graph, size: int) -> None:
    value = graph.x
    for _ in range(size // 3):
        value = graph("Add", graph("Abs", value), graph("Neg", value))


def unlocked(graph: Graph, size: int) -> None:
    """Each Sub waits for the Neg behind its own to go, and stands before that one's Sub."""
    negatives = [graph.x]
    for _ in range(size // 2):
        negatives.append(graph("Neg", negatives[-1]))
    graph.graph.outputs.extend([graph("Sub", value, graph.x) for value in negatives[1:]])


def same_names(graph: Graph, size: int) -> None:
    chain("Relu")(graph, size)
    for node in graph.graph:
        node.name = "same"


BLUNT = "y = Relu(Neg(x))\n replace y = Neg(Min(x, 0))"
GRAPHS: dict[str, tuple[Build, str, Callable[[int], int]]] = {
    "one for two": (chain("Relu"), "y = Relu(Relu(x))\n replace y = Relu(x)", lambda n: n - 1),
    "nowhere": (chain("Relu"), "y = Relu(Relu(Neg(x)))\n replace y = x", lambda n: 0),
    "half": (chain("Relu", "Neg"), BLUNT, lambda n: (n - 1) // 2),
    "constants": (adds, "y = Add(Add(x, a: const), b: const)\n replace y = Add(x, a + b)", lambda n: n - 1),
    "upwards": (pushed, "y = Neg(f: Abs(x))\n replace y = f(Neg(x))", lambda n: n),
    "outputs": (handed_out, "y = Relu(x)\n replace y = Max(x, 0)", lambda n: n),
    "siblings": (siblings, "a = Add(x, 3)\n match b = Add(x, 2)\n replace a, b = Split(x, [1, 1])", lambda n: 0),
    "several results": (
        pairs,
        "a = Abs(x)\n match b = Neg(x)\n replace a = Max(x, Mul(x, -1))\n replace b = Mul(x, -1)",
        lambda n: n // 3,
    ),
    "diamonds": (pairs, "y = Add(Neg(x), Abs(x))\n replace y = Sub(Abs(x), x)", lambda n: n // 3),
    "unlocked": (unlocked, "y = Sub(h: Neg(x), u)\n where uses(h) == 1\n replace y = Abs(u)", lambda n: n // 2),
    "one name": (same_names, "y = Relu(x)\n replace y = Max(x, 0)", lambda n: n),
}


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], tuple[SpecRule, ...]]:
    def of(text: str) -> tuple[SpecRule, ...]:
        path = tmp_path / "rules.qtn"
        path.write_text(f"qtn 1\nrule r {{\n match {text}\n}}\n")
        return read_spec(path, STRUCTURES, BACKENDS, allowed=Allowed(python="leave")).rules

    return of


def counted(work: Callable[[], Any]) -> tuple[int, Any]:
    """How many calls something takes."""
    calls = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        result = work()
    finally:
        sys.setprofile(before)
    return calls, result


def rewritten(build: Build, size: int, rules: tuple[SpecRule, ...]) -> tuple[ir.Model, Callable[[], Applied]]:
    graph = Graph()
    build(graph, size)
    model = graph.model()
    return model, lambda: apply_rules(model, rules)[0]


@pytest.mark.parametrize(("build", "text", "times"), GRAPHS.values(), ids=GRAPHS)
def test_work_grows_as_the_graph(
    build: Build, text: str, times: Callable[[int], int], read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = read(text)
    # bounds of one root that small graphs stay below would count as growth
    monkeypatch.setattr("qtnc.rules.matching.MAX_STEPS", 50)
    monkeypatch.setattr("qtnc.rules.matching.FEW_STEPS", 50)
    calls = []
    for size in (SMALL, LARGE):
        _, work = rewritten(build, size, rules)
        count, applied = counted(work)
        assert applied.times == times(size)
        calls.append(count)
    # sorting takes a logarithm more; what is quadratic takes sixteen times as many
    assert calls[1] / calls[0] < 1.5 * LARGE / SMALL


def test_a_graph_that_spends_its_steps_has_few_left_for_each_root() -> None:
    budget = Budget(nodes=10)
    assert budget.at_one_root == MAX_STEPS
    for _ in range(20):
        budget.spend(MAX_STEPS)
    assert budget.at_one_root == FEW_STEPS


def test_names_do_not_grow_with_every_rule(read: Any) -> None:
    model, work = rewritten(pushed, 50, read("y = Neg(f: Abs(x))\n replace y = f(Neg(x))"))
    assert work().times == 50
    assert max(len(str(node.name)) for node in model.graph) < 20
    assert max(len(str(value.name)) for node in model.graph for value in node.outputs) < 20


@pytest.mark.conformance
@pytest.mark.parametrize(("build", "text", "times"), GRAPHS.values(), ids=GRAPHS)
def test_twenty_thousand_nodes(build: Build, text: str, times: Callable[[int], int], read: Any) -> None:
    _, work = rewritten(build, 20_000, read(text))
    assert work().times == times(20_000)
