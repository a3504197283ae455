"""Applying rules until none applies, and finding out where that would never end."""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import onnx_ir as ir

from qtnc.errors import Diagnostic, PassError, printable
from qtnc.ir.initializers import drop_unused_initializers
from qtnc.ir.names import FreeNames, module_path, unique
from qtnc.ir.unread import drop_unused_functions
from qtnc.rules.building import MADE_BY, Builder
from qtnc.rules.found import DeclinedError, Match
from qtnc.rules.history import Histories, period, place_of
from qtnc.rules.matching import Budget, Miss
from qtnc.rules.measures import op_word
from qtnc.rules.order import Order
from qtnc.rules.rule import Rule
from qtnc.rules.splice import Splice, Spliced
from qtnc.rules.trace import Attempt, Listener, name_of
from qtnc.source import Span
from qtnc.tensor.memory import size


@dataclass(frozen=True)
class Applied:
    """How often a rule was applied.

    Attributes
    ----------
    roots : operators at which it begins.
    nearest : of one that never was applied, the attempt that came nearest; None where no node has such an operator.
    """

    rule: str
    times: int
    roots: tuple[str, ...]
    nearest: Attempt | None = None
    span: Span | None = None


def apply_rules(
    model: ir.Model, rules: Sequence[Rule], listen: Listener | None = None, *, at_most: int | None = None
) -> tuple[Applied, ...]:
    """Apply rules, at each node the first that does, until none does any more.

    Parameters
    ----------
    listen : is told of every attempt.
    at_most : how often they are applied in all, where that is bounded.

    Raises
    ------
    PassError
        If rules undo one another or go on for ever; it names the cycle.
    """
    driver = _Driver(model, rules, listen, at_most)
    driver.run()
    if any(driver.times.values()):
        model.graph.sort()
    drop_unused_initializers(model)
    drop_unused_functions(model)
    driver.settle_names()
    driver.settle_nodes()
    return tuple(
        Applied(r.name, driver.times[r.name], r.matcher.root_words, driver.nearest.get(r.name), r.span) for r in rules
    )


SPARE: Final = 1 << 27
"""Bytes of constants that rules may make beyond four times the weights of the model."""


FEW: Final = 4
"""Readers of a value of which one less may let a rule apply."""


class _Driver:
    """One run over one model."""

    def __init__(self, model: ir.Model, rules: Sequence[Rule], listen: Listener | None, at_most: int | None) -> None:
        self.model, self.listen, self._at_most = model, listen, at_most
        self.times: Counter[str] = Counter()
        self.nearest: dict[str, Attempt] = {}
        nodes = sum(1 for _ in ir.traversal.RecursiveGraphIterator(model.graph))
        self._budget = Budget(nodes)
        self._histories = Histories(50 + 2 * nodes)
        self._left = 1000 + 50 * nodes
        weights = (value for graph in model.graphs() for value in graph.initializers.values())
        self._most = SPARE + 4 * sum(map(_bytes, weights))
        self._names, self._order = FreeNames(model), Order(model.graph)
        self._constants: dict[ir.Value, str] = {}  # those made, and what they are to be called
        self._held = 0  # bytes of them
        self._by_root: defaultdict[tuple[str, str], list[Rule]] = defaultdict(list)
        self._reach = max((rule.matcher.reach for rule in rules), default=0)
        self._places = {rule.name: k for k, rule in enumerate(rules)}
        for rule in rules:
            for operator in rule.matcher.roots:
                self._by_root[operator].append(rule)

    def run(self) -> None:
        """Go over the graph until nothing changes: over all of it, and around each change at once."""
        while self._by_root:
            waiting = deque(ir.traversal.RecursiveGraphIterator(self.model.graph))
            changed = False
            while waiting and self.times.total() != self._at_most:
                made = self._rewrite(waiting.popleft())
                changed = changed or made is not None
                waiting.extendleft(reversed(made or ()))
            self._order.remove()
            if not changed or self.times.total() == self._at_most:
                return

    def settle_names(self) -> None:
        """Call constants what those were called whose place they take, where these are gone."""
        stored, names = self.model.graph.initializers, FreeNames(self.model)
        for value, wanted in self._constants.items():
            if value.name != wanted and value.name in stored and wanted not in names:
                del stored[str(value.name)]
                value.name = names.take(wanted)
                self.model.graph.register_initializer(value)

    def settle_nodes(self) -> None:
        """Give each node that a rule made a name of its own: onnxruntime refuses two of one name."""
        nodes = list(ir.traversal.RecursiveGraphIterator(self.model.graph))
        made = [node for node in nodes if MADE_BY in node.metadata_props and node.name]
        kept = {str(node.name) for node in nodes if MADE_BY not in node.metadata_props}
        for node, name in zip(made, unique((str(node.name) for node in made), kept), strict=True):
            node.name = name

    def _rewrite(self, node: ir.Node) -> list[ir.Node] | None:
        """Apply the first rule that applies at a node; the nodes that it made, and those that read them."""
        for rule in self._by_root.get((node.domain, node.op_type), ()) if self._order.is_there(node) else ():
            made = self._try(rule, node)
            if made is not None:
                return made
        return None

    def _try(self, rule: Rule, node: ir.Node) -> list[ir.Node] | None:
        splice = _propose(self.model, rule, node, self._names, self._order, self._budget)
        self._tell(_attempt(rule, node, splice))
        if not isinstance(splice, Splice):
            return None
        found = splice.found
        place = place_of(found)
        read = {value for one in found.nodes for value in one.inputs if value in self._constants}
        readers = [use.node for name in splice.replaced for use in found[name].uses()]
        spliced = splice.perform()
        for value, wanted in splice.build.constants.items():
            if value.is_initializer():
                self._constants[value] = wanted
                self._held += _bytes(value)
        self._forget(value for value in read if not value.uses() and not value.is_graph_output())
        self._check_memory(rule, found)
        self.times[rule.name] += 1
        self._left -= 1
        circle = self._histories.extend(rule.name, place, found, spliced)
        if circle or not self._left:
            raise _endless(rule, self._in_order(circle or (rule.name,)), found)
        return [*spliced.made, *readers, *self._near(spliced)]

    def _near(self, spliced: Spliced) -> list[ir.Node]:
        """Nodes at which a rule may apply now that a value has fewer readers: those that few others read."""
        found: dict[ir.Node, None] = {}
        for value in spliced.freed:
            layer = [value]
            for _ in range(self._reach):
                uses = [value.uses() for value in layer]
                if sum(map(len, uses)) > FEW:
                    break
                layer = [out for many in uses for use in many for out in use.node.outputs]
                found.update((use.node, None) for many in uses for use in many)
        return [node for node in found if node not in spliced.made]

    def _forget(self, constants: Iterable[ir.Value]) -> None:
        """Let go of constants that one rule made and another took the place of."""
        for value in constants:
            del self._constants[value]
            self._held -= _bytes(value)
            self.model.graph.initializers.pop(str(value.name), None)

    def _check_memory(self, rule: Rule, found: Match) -> None:
        """End where constants grow beyond what any rule needs.

        Raises
        ------
        PassError
            With the rule that made the last.
        """
        if self._held > self._most:
            message = f"rules make constants without end: {size(self._held)} at `{printable(found.layer)}`"
            raise PassError(Diagnostic(message, rule.span, "bound by `where` how large a constant may become"))

    def _in_order(self, circle: Sequence[str]) -> Sequence[str]:
        """A circle as it is read: once round, from the rule that comes first in the text."""
        once = period(circle)
        first = min(range(len(once)), key=lambda k: self._places[once[k]])
        return (*once[first:], *once[:first])

    def _tell(self, attempt: Attempt) -> None:
        """Keep what came nearest, and pass it on."""
        if self.listen is not None:
            self.listen(attempt)
        best = self.nearest.get(attempt.rule)
        if attempt.outcome != "replaced" and (best is None or attempt.met > best.met):
            self.nearest[attempt.rule] = attempt


class Trial:
    """Says what rules would do to a model, and changes nothing."""

    def __init__(self, model: ir.Model) -> None:
        self._model, self._names, self._order = model, FreeNames(model), Order(model.graph)

    def attempt(self, rule: Rule, node: ir.Node) -> Attempt:
        """What became of a rule at a node whose operator its root may have."""
        came = _propose(self._model, rule, node, self._names, self._order)
        if isinstance(came, Splice):
            came.build.forget()
        return _attempt(rule, node, came)


def _propose(
    model: ir.Model, rule: Rule, node: ir.Node, names: FreeNames, order: Order, budget: Budget | None = None
) -> Splice | Miss | DeclinedError:
    """What a rule would put into a graph at a node, or why it would not."""
    found = rule.matcher.find(node, model.graph.opset_imports.get("", 1), budget)
    if isinstance(found, Miss):
        return found
    order.settle_bodies(found.nodes)
    build = Builder(model, found, rule.name, names)
    try:
        splice = Splice(model, found, rule.replace(found, build), build, rule.shared, order)
        splice.check()
    except DeclinedError as declined:
        build.forget()
        return declined
    return splice


def _bytes(value: ir.Value) -> int:
    tensor = value.const_value
    if isinstance(tensor, ir.StringTensor):
        return sum(map(len, tensor.string_data()))
    return tensor.nbytes if tensor is not None else 0


def _attempt(rule: Rule, node: ir.Node, came: Splice | Miss | DeclinedError) -> Attempt:
    """What became of a rule at a node."""
    title = node.name or str(node.outputs[0].name)
    tried = Attempt(rule.name, title, op_word(node), module_path(node) or "", "replaced")
    if isinstance(came, Miss):
        return tried.missed("no match", came.reason, came.span, name_of(came.at), came.met)
    if isinstance(came, DeclinedError):
        span = came.at if isinstance(came.at, Span) else None
        return tried.missed("declined", came.reason, span, name_of(came.at))
    return tried.with_nodes(tuple(new.op_type for new in came.build.nodes))


def _endless(rule: Rule, circle: Sequence[str], found: Match) -> PassError:
    """Say which rules go on for ever, and where."""
    round_trip = " -> ".join((*circle, circle[0]))
    message = f"rules do not come to an end: {round_trip}, at `{printable(found.layer)}`"
    way_out = "a rule must not match what it makes, nor undo another: add a `where` that stops it"
    return PassError(Diagnostic(message, rule.span, way_out))
