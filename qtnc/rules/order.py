"""What is computed before what, kept while a graph changes, so that no change asks for the whole of it.

Every node has a number, larger than those of all that it reads; the nodes of a body come before the node that holds it.
Where a change turns an order around, only what lies between the two is numbered anew (Pearce and Kelly, 2006).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final

import onnx_ir as ir

from qtnc.errors import InternalError
from qtnc.ir.bodies import bodies, inside, read_by

STEP: Final = 1 << 512
"""Between neighbours at first: so often can a place be halved before all are numbered anew."""


class Order:
    """Numbers of all nodes of a model, those of bodies too; and where graphs hand out which values."""

    def __init__(self, graph: ir.Graph) -> None:
        self._owners: dict[ir.Graph, ir.Node] = {}
        self._numbers: dict[ir.Node, int] = {}
        self._highest = 0
        self._places: dict[ir.Value, list[tuple[ir.Graph, int]]] = {}
        self._gone: list[ir.Node] = []  # what is to be removed
        self._note_outputs(graph)
        for node in graph:
            for one in self._with_bodies(node):
                self._highest += STEP
                self._numbers[one] = self._highest

    def source_among(self, starts: Iterable[ir.Value], ends: Iterable[ir.Value]) -> ir.Value | None:
        """One of some values that others are, or are computed from; None where none is."""
        wanted = set(starts)
        lowest = min((self._numbers[node] for node in map(_producer, wanted) if node in self._numbers), default=0)
        seen = set(ends)
        waiting = list(seen)
        while waiting:
            value = waiting.pop()
            if value in wanted:
                return value
            node = value.producer()
            if node is None or self._numbers.get(node, 0) <= lowest:
                continue
            new = set(read_by(node)) - seen
            seen |= new
            waiting += new
        return None

    def place(self, made: Iterable[ir.Node], reads: Iterable[ir.Value], readers: Iterable[ir.Node]) -> None:
        """Number new nodes, in the order in which they stand.

        Parameters
        ----------
        reads : all that they read and did not make, and what is handed on in the place of something else.
        readers : of all that they made, and of what is handed on.
        """
        new = [one for node in made for one in self._with_bodies(node)]
        before = {node for node in map(_producer, reads) if node in self._numbers}
        behind = {node for node in readers if node in self._numbers}
        if self._last(before) >= self._first(behind):
            self._turn(before, behind)
        if self._first(behind) - self._last(before) <= len(new):
            self._spread()
        number, end = self._last(before), self._first(behind)
        step = (end - number) // (len(new) + 1)
        for node in new:
            number += step
            self._numbers[node] = number
        self._highest = max(self._highest, number)

    def readers(self, value: ir.Value) -> list[ir.Node]:
        """Nodes that read a value, and the node whose body hands it out."""
        found = [use.node for use in value.uses()]
        node = value.producer()
        owner = self._owner(node) if node is not None and value.is_graph_output() else None
        return [*found, owner] if owner is not None else found

    def is_there(self, node: ir.Node) -> bool:
        """Whether a node has not been left."""
        return node in self._numbers

    def hand_out(self, old: ir.Value, new: ir.Value) -> None:
        """Let graphs hand out one value in the place of another."""
        places = self._places.pop(old, [])
        for graph, k in places:
            graph.outputs[k] = new
        if places:
            self._places.setdefault(new, []).extend(places)

    def leave(self, nodes: Iterable[ir.Node]) -> None:
        """Forget nodes, and what is in their bodies; they are removed by ``remove``."""
        for node in nodes:
            self._gone.append(node)
            for one in (*inside(node), node):
                self._numbers.pop(one, None)

    def _owner(self, node: ir.Node) -> ir.Node | None:
        """The node in whose body another is."""
        return self._owners.get(node.graph) if isinstance(node.graph, ir.Graph) else None

    def remove(self) -> None:
        """Remove what was left, all at once: each time, a graph looks at all that it hands out."""
        by_graph: defaultdict[ir.Graph, list[ir.Node]] = defaultdict(list)
        for node in self._gone:
            if isinstance(node.graph, ir.Graph):
                by_graph[node.graph].append(node)
        for graph, nodes in by_graph.items():
            graph.remove(nodes)
        self._gone.clear()

    def settle_bodies(self, nodes: Iterable[ir.Node]) -> None:
        """Make bodies of nodes such that they can be copied: without what was left, in order."""
        for body in [body for node in nodes for body in bodies(node)]:
            self.remove()
            body.sort()

    def _last(self, nodes: Iterable[ir.Node]) -> int:
        return max((self._numbers[node] for node in nodes), default=0)

    def _first(self, nodes: Iterable[ir.Node]) -> int:
        return min((self._numbers[node] for node in nodes), default=self._highest + STEP)

    def _turn(self, before: set[ir.Node], behind: set[ir.Node]) -> None:
        """Bring what some nodes are computed from before all that others lead to."""
        low, high = self._first(behind), self._last(before)
        forward = self._reach(behind, self._after, lambda number: number <= high)
        backward = self._reach(before, self._needed, lambda number: number >= low)
        if not forward.isdisjoint(backward):
            raise InternalError("a rule made a graph that goes round in a circle")
        moved = [*sorted(backward, key=self._numbers.__getitem__), *sorted(forward, key=self._numbers.__getitem__)]
        for node, number in zip(moved, sorted(self._numbers[node] for node in moved), strict=True):
            self._numbers[node] = number

    def _reach(
        self, starts: set[ir.Node], step: Callable[[ir.Node], Iterable[ir.Node]], within: Callable[[int], bool]
    ) -> set[ir.Node]:
        found = {node for node in starts if within(self._numbers[node])}
        waiting = list(found)
        while waiting:
            for node in step(waiting.pop()):
                if node not in found and node in self._numbers and within(self._numbers[node]):
                    found.add(node)
                    waiting.append(node)
        return found

    def _after(self, node: ir.Node) -> Iterable[ir.Node]:
        for output in node.outputs:
            yield from (use.node for use in output.uses())
        owner = self._owner(node)
        if owner is not None:
            yield owner

    def _needed(self, node: ir.Node) -> Iterable[ir.Node]:
        yield from (producer for value in node.inputs if value is not None and (producer := value.producer()))
        for body in bodies(node):
            yield from body

    def _with_bodies(self, node: ir.Node) -> list[ir.Node]:
        """A node behind those in its bodies, of which it is noted who holds them."""
        found = [*inside(node), node]
        for one in found:
            for body in bodies(one):
                self._owners[body] = one
                self._note_outputs(body)
        return found

    def _note_outputs(self, graph: ir.Graph) -> None:
        for k, value in enumerate(graph.outputs):
            self._places.setdefault(value, []).append((graph, k))

    def _spread(self) -> None:
        """Number all nodes anew, with room between them, in the order in which they are."""
        for place, node in enumerate(sorted(self._numbers, key=self._numbers.__getitem__), 1):
            self._numbers[node] = place * STEP
        self._highest = len(self._numbers) * STEP


def _producer(value: ir.Value) -> ir.Node | None:
    return value.producer()
