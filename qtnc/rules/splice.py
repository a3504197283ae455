"""Putting what a rule made into the place of what it matched, if it may stand there."""

from collections.abc import Mapping
from dataclasses import dataclass

import onnx_ir as ir
from onnx_ir import convenience

from qtnc.errors import InternalError
from qtnc.ir.dialect import define, is_qtn
from qtnc.ir.dtypes import dtype_word
from qtnc.ir.shapes import differ, more_known, shape_word
from qtnc.ir.unread import drop_unread
from qtnc.rules.building import Builder
from qtnc.rules.found import Match, decline


@dataclass(frozen=True, eq=False)
class Splice:
    """One replacement.

    Attributes
    ----------
    replaced : new values by the names of the results whose place they take.
    shared : results that may have readers elsewhere though nothing takes their place.
    """

    model: ir.Model
    found: Match
    replaced: Mapping[str, ir.Value]
    build: Builder
    shared: frozenset[str]

    def check(self) -> None:
        """Decline where the graph would not be what it was.

        Raises
        ------
        DeclinedError
            With the reason.
        """
        pairs = self._pairs()
        for old, new in pairs:
            self._check_pair(old, new)
        olds = {old for old, _ in pairs}
        self._check_readers(olds)
        if len(self.found.nodes) > 1 or len(olds) > 1:
            self._check_order(olds)

    def perform(self) -> int:
        """Change the graph, and return how many nodes it has more than before."""
        graph, pairs = self.found.root.graph, self._pairs()
        if graph is None:
            raise InternalError("a match has a root without a graph")
        for value in self.build.constants:
            if value.uses() or any(new is value for _, new in pairs):
                self.model.graph.register_initializer(value)
        graph.insert_before(self.found.root, self.build.nodes)
        for node in self.build.nodes:
            if is_qtn(node):
                define(self.model, node)
        for old, new in pairs:
            self._take_place(old, new)
        drop_unread([old for old, _ in pairs])
        drop_unread([output for node in reversed(self.build.nodes) for output in node.outputs])
        if len(pairs) > 1 or len({node.graph for node in self.found.nodes}) > 1 or self._is_spread():
            graph.sort()
        gone = sum(node.graph is None for node in self.found.nodes)
        return sum(node.graph is not None for node in self.build.nodes) - gone

    def _is_spread(self) -> bool:
        """Whether something else than the root is replaced, so that readers may stand before what is new."""
        return any(old.producer() is not self.found.root for old, _ in self._pairs())

    def _pairs(self) -> list[tuple[ir.Value, ir.Value]]:
        if not self.replaced:
            raise InternalError("a rule replaces nothing")
        return [(self.found[name], new) for name, new in self.replaced.items()]

    def _check_pair(self, old: ir.Value, new: ir.Value) -> None:
        node = old.producer()
        if node is None or node not in self.found.nodes or node.graph is not self.found.root.graph:
            decline(f"`{old.name}` is no result that can be replaced here", old)
        if new is old:
            decline(f"`{old.name}` would be replaced by itself", old)
        if None not in (old.dtype, new.dtype) and old.dtype != new.dtype:
            decline(f"`{old.name}` is {_dtype(old)}, and what replaces it would be {_dtype(new)}", old)
        if differ(old.shape, new.shape):
            decline(f"`{old.name}` is {shape_word(old.shape)}, and what replaces it {shape_word(new.shape)}", old)
        if old.is_graph_output() and new.producer() not in self.build.nodes:
            producer = new.producer()
            if producer is None or producer.graph is not node.graph:
                decline(f"`{old.name}` is handed out, and no node computes `{new.name}`, to stand in its place", old)
            if new.is_graph_output():
                decline(f"`{old.name}` is handed out, and `{new.name}`, to stand in its place, is so already", old)

    def _check_readers(self, replaced: set[ir.Value]) -> None:
        """Decline where a result is also read by others: its node would stay, and the graph grow."""
        free = {self.found.bound[name] for name in self.shared if isinstance(self.found.bound.get(name), ir.Value)}
        for node in self.found.nodes:
            for value in node.outputs:
                if value in replaced or value in free:
                    continue
                if value.is_graph_output():
                    decline(f"`{value.name}` is handed out too", value)
                other = next((u.node for u in value.uses() if not self._is_mine(u.node)), None)
                if other is not None:
                    decline(f"`{value.name}` is also read by node `{other.name}`", value)

    def _is_mine(self, node: ir.Node) -> bool:
        return node in self.found.nodes or node in self.build.nodes

    def _check_order(self, replaced: set[ir.Value]) -> None:
        """Decline where what is new would be computed from what it replaces."""
        made = {output for node in self.build.nodes for output in node.outputs}
        wanted = [v for node in self.build.nodes for v in node.inputs if v is not None and v not in made]
        wanted += [new for new in self.replaced.values() if new not in made]
        seen = set(wanted)
        while wanted:
            value = wanted.pop()
            if value in replaced:
                decline(f"what replaces `{value.name}` would be computed from it", value)
            node = value.producer()
            for read in node.inputs if node is not None else ():
                if read is not None and read not in seen:
                    seen.add(read)
                    wanted.append(read)

    def _take_place(self, old: ir.Value, new: ir.Value) -> None:
        new.type = new.type or old.type
        new.shape = more_known(new.shape, old.shape)
        name, handed_out = old.name, old.is_graph_output()
        convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
        if handed_out:
            old.name, new.name = new.name, name


def _dtype(value: ir.Value) -> str:
    return dtype_word(value.dtype) if value.dtype is not None else "unknown"
