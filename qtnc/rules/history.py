"""Which rule made what out of what, so that rules which never end are found out, and named."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import onnx_ir as ir

from qtnc.rules.found import Match
from qtnc.rules.likeness import LARGEST
from qtnc.rules.measures import is_const
from qtnc.rules.splice import Spliced

PLAIN: Final = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS, ir.AttributeType.TENSOR, ir.AttributeType.TENSORS)
"""Attributes whose text says too little, or too much."""


@dataclass(frozen=True, eq=False)
class _Link:
    """One application, on what another made.

    Attributes
    ----------
    idle : how many in the chain did not make the graph smaller.
    growth : nodes that the chain gave the graph.
    spent : applications in the chain that took away a node that no rule made: there is an end of these.
    """

    rule: str
    parent: "_Link | None"
    depth: int
    idle: int
    growth: int
    spent: int


class Histories:
    """Applications on applications, node by node.

    Parameters
    ----------
    limit : applications, each on what another made, that may leave the graph no smaller.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._links: dict[ir.Node, _Link] = {}
        self._met: dict[Hashable, _Link] = {}

    def extend(self, rule: str, place: Hashable, found: Match, spliced: Spliced) -> tuple[str, ...]:
        """Note an application, and return the rules that go round in a circle, none where they do not.

        Parameters
        ----------
        place : what was matched, as :func:`place_of` tells it before the graph changes.
        """
        gone = frozenset(spliced.gone)
        left = [node for node in found.nodes if node in gone]
        growth = len(spliced.made) - len(left)
        parents = [self._links[node] for node in found.nodes if node in self._links]
        parent = max(parents, key=lambda link: (link.idle, link.depth), default=None)
        before = parent or _Link("", None, -1, 0, 0, 0)
        spent = any(node not in self._links for node in left)
        link = _Link(
            rule,
            parent,
            before.depth + 1,
            before.idle + (growth >= 0),
            before.growth + growth,
            before.spent + spent,
        )
        self._links.update(dict.fromkeys(spliced.made, link))
        key = (rule, place)
        met = self._met.get(key)
        self._met[key] = link
        if met is not None and _is_before(met, link) and link.growth >= met.growth and link.spent == met.spent:
            return _names(link, link.depth - met.depth)
        return period(_names(link, 2 * LARGEST)) if link.idle > self._limit else ()


def place_of(found: Match) -> Hashable:
    """What was matched: operators, attributes, and what they read, each other or values around."""
    numbers = {node: k for k, node in enumerate(found.nodes)}
    return tuple(
        (node.op_identifier(), _attributes(node), tuple(_read(value, numbers) for value in node.inputs))
        for node in found.nodes
    )


def _attributes(node: ir.Node) -> Hashable:
    return tuple(sorted((a.name, str(a.value)) for a in node.attributes.values() if a.type not in PLAIN))


def _read(value: ir.Value | None, numbers: dict[ir.Node, int]) -> Hashable:
    if value is None:
        return None
    producer = value.producer()
    if producer is not None and producer in numbers:
        return numbers[producer], value.index()
    tensor = value.const_value
    if is_const(value) and tensor is not None and tensor.size <= LARGEST and tensor.dtype != ir.DataType.STRING:
        return tensor.dtype, tuple(tensor.shape.numpy()), blake2b(tensor.tobytes(), digest_size=16).digest()
    return value


def _is_before(one: _Link, other: _Link | None) -> bool:
    while other is not None and other.depth > one.depth:
        other = other.parent
    return other is one


def _names(link: _Link | None, count: int) -> tuple[str, ...]:
    """The last rules of a chain, oldest first."""
    found: list[str] = []
    while link is not None and len(found) < count:
        found.append(link.rule)
        link = link.parent
    return tuple(reversed(found))


def period(names: Sequence[str]) -> tuple[str, ...]:
    """What repeats itself at the end of a chain; its last rules where nothing does."""
    for length in range(1, len(names) // 2 + 1):
        if names[-length:] == names[-2 * length : -length]:
            return tuple(names[-length:])
    return tuple(names[-8:])
