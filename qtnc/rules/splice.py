"""Putting what a rule made into the place of what it matched, if it may stand there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir
from onnx_ir import convenience

from qtnc.errors import InternalError, printable
from qtnc.ir.bodies import read_by
from qtnc.ir.dialect import define, is_qtn
from qtnc.ir.shapes import differ, more_known, shape_word
from qtnc.ir.unread import detach_unread
from qtnc.rules.building import Builder
from qtnc.rules.found import Match, decline
from qtnc.rules.measures import title, type_word
from qtnc.rules.order import Order


@dataclass(frozen=True)
class Spliced:
    """What came into a graph, what is to be removed from it, and values that this does not read any more."""

    made: tuple[ir.Node, ...]
    gone: tuple[ir.Node, ...]
    freed: tuple[ir.Value, ...]


@dataclass(frozen=True, eq=False)
class Splice:
    """One replacement.

    Attributes
    ----------
    replaced : new values by the names of the results whose place they take.
    shared : results that may have readers elsewhere though nothing takes their place.
    order : of the nodes of the model.
    """

    model: ir.Model
    found: Match
    replaced: Mapping[str, ir.Value]
    build: Builder
    shared: frozenset[str]
    order: Order

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
        self._check_handed_out(pairs)
        self._check_readers(olds)
        if len(self.found.nodes) > 1 or len(olds) > 1:
            self._check_order(olds)

    def perform(self) -> "Spliced":
        """Change the graph.

        New nodes stand before the root; where they must stand elsewhere, ``order`` knows, and the graph is to be
        sorted. What nothing reads any more stays where it is, reads nothing, and is to be removed.
        """
        graph, pairs = self.found.root.graph, self._pairs()
        if graph is None:
            raise InternalError("a match has a root without a graph")
        for value in self.build.constants:
            if value.uses() or any(new is value for _, new in pairs):
                self.model.graph.register_initializer(value)
        graph.insert_before(self.found.root, self.build.nodes)
        for node in self.build.nodes:
            if node.domain:
                self.model.graph.opset_imports.setdefault(node.domain, 1)
            if is_qtn(node):
                define(self.model, node)
        readers = {node for old, _ in pairs for node in self.order.readers(old)}
        for old, new in pairs:
            self._take_place(old, new)
        outputs = [output for node in self.build.nodes for output in node.outputs]
        gone = detach_unread([*outputs, *(old for old, _ in pairs)])
        self.order.leave(gone)
        made = tuple(node for node in self.build.nodes if node not in gone)
        self.order.place(made, self._wanted(), filter(self.order.is_there, readers))
        self._leave_out([(old, new) for old, new in pairs if new.producer() in made])
        return Spliced(made, tuple(gone), tuple(dict.fromkeys(value for read in gone.values() for value in read)))

    def _pairs(self) -> list[tuple[ir.Value, ir.Value]]:
        if not self.replaced:
            raise InternalError("a rule replaces nothing")
        return [(self.found[name], new) for name, new in self.replaced.items()]

    def _check_pair(self, old: ir.Value, new: ir.Value) -> None:
        node = old.producer()
        if node is None or node not in self.found.nodes or node.graph is not self.found.root.graph:
            decline(f"`{title(old)}` is no result that can be replaced here", old)
        if new is old:
            decline(f"`{title(old)}` would be replaced by itself", old)
        if new.name == "":
            decline(f"`{title(old)}` would be replaced by a result that its node leaves out", old)
        if None not in (old.type, new.type) and old.type != new.type:
            decline(f"`{title(old)}` is {type_word(old)}, and what replaces it would be {type_word(new)}", old)
        if differ(old.shape, new.shape):
            have, given = printable(shape_word(old.shape)), printable(shape_word(new.shape))
            decline(f"`{title(old)}` is {have}, and what replaces it {given}", old)
        if old.is_graph_output() and new.producer() not in self.build.nodes:
            producer = new.producer()
            if producer is None or producer.graph is not node.graph:
                message = f"`{title(old)}` is handed out, and no node computes `{title(new)}`, to stand in its place"
                decline(message, old)
            if new.is_graph_output():
                decline(f"`{title(old)}` is handed out, and `{title(new)}`, to stand in its place, is so already", old)

    def _check_handed_out(self, pairs: Sequence[tuple[ir.Value, ir.Value]]) -> None:
        """Decline where two outputs of a graph would be one value: each has a name of its own."""
        known: dict[ir.Value, ir.Value] = {}
        for old, new in pairs:
            if old.is_graph_output() and known.setdefault(new, old) is not old:
                decline(f"`{title(known[new])}` and `{title(old)}` are both handed out, and would be one value", old)

    def _check_readers(self, replaced: set[ir.Value]) -> None:
        """Decline where a result is also read by others: its node would stay, and the graph grow."""
        free = {self.found.bound[name] for name in self.shared if isinstance(self.found.bound.get(name), ir.Value)}
        for node in self.found.nodes:
            for value in node.outputs:
                if value in replaced or value in free:
                    continue
                if value.is_graph_output():
                    decline(f"`{title(value)}` is handed out too", value)
                other = next((u.node for u in value.uses() if not self._is_mine(u.node)), None)
                if other is not None:
                    decline(f"`{title(value)}` is also read by node `{title(other)}`", value)

    def _is_mine(self, node: ir.Node) -> bool:
        return node in self.found.nodes or node in self.build.nodes

    def _check_order(self, replaced: set[ir.Value]) -> None:
        """Decline where what is new would be computed from what it replaces."""
        source = self.order.source_among(replaced, self._wanted())
        if source is not None:
            decline(f"what replaces `{title(source)}` would be computed from it", source)

    def _wanted(self) -> set[ir.Value]:
        """What is read, or handed on, and not made."""
        made = {output for node in self.build.nodes for output in node.outputs}
        read = {value for node in self.build.nodes for value in read_by(node)}
        return (read | set(self.replaced.values())) - made

    def _take_place(self, old: ir.Value, new: ir.Value) -> None:
        if not new.is_graph_input():  # what a graph declares stays as it is
            new.type = new.type or old.type
            new.shape = more_known(new.shape, old.shape)
        name, handed_out = old.name, old.is_graph_output()
        self.order.hand_out(old, new)
        convenience.replace_all_uses_with(old, new)
        if handed_out:
            old.name, new.name = new.name, name

    def _leave_out(self, made: Sequence[tuple[ir.Value, ir.Value]]) -> None:
        """Leave results out that the matched node left out, where nothing reads them: some nodes must not have them."""
        unnamed = [new for old, new in made if old.name == ""]
        for value in (*unnamed, *self.build.left_out):
            if not value.uses() and not value.is_graph_output():
                value.name = ""
