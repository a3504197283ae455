"""A tensor network read as a linear map ``y = x . N(t_1, ..., t_k)``.

A network is written as ``m0 m1, m0 n0 r1, r1 m1 n1 -> n0 n1``: first the modes of one row of x, then the indices
of each core, then the modes of one row of y. The rows themselves (batch, sequence) are never written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import TypeVar

import networkx as nx

Size = TypeVar("Size")

X = 0
"""Operand number of x in contraction paths; core k is operand k + 1."""


@dataclass(frozen=True)
class TensorNetwork:
    """Indices of x, of the cores and of y, with the size of each index.

    Attributes
    ----------
    inputs : names of the indices of x (``inputs[0]``) and of core k (``inputs[k + 1]``).
    output : names of the indices of y.
    size_dict : size of each index.
    features : (M, N), the features of x and y. The product of x's modes may exceed M and that of y's modes N:
        then x is padded with zeros and y is cut. The cores are counted as they are, padding included.
    stack : sizes of the axes along which networks of one shape are stacked, none for a single one. Every core has them
        in front, and x (..., rows, M) meets them as numpy's matmul would: broadcast along the axes before the rows.
    """

    inputs: tuple[tuple[str, ...], ...]
    output: tuple[str, ...]
    size_dict: Mapping[str, int]
    features: tuple[int, int]
    stack: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if prod(self.sizes(self.inputs[X])) < self.features[0] or prod(self.sizes(self.output)) < self.features[1]:
            raise ValueError(f"modes of {self.equation} do not hold the features {self.features}")

    def sizes(self, indices: Sequence[str]) -> tuple[int, ...]:
        """Sizes of the named indices."""
        return tuple(self.size_dict[i] for i in indices)

    @property
    def core_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of each core, in order."""
        return tuple(self.stack + self.sizes(indices) for indices in self.inputs[1:])

    @property
    def parameters(self) -> int:
        """Stored numbers: the elements of all cores, padding included."""
        return sum(prod(shape) for shape in self.core_shapes)

    @property
    def equation(self) -> str:
        """The network as text, e.g. ``m0, m0 r1, r1 n0 -> n0``."""
        return f"{', '.join(' '.join(i) for i in self.inputs)} -> {' '.join(self.output)}"

    @property
    def mode_sizes(self) -> tuple[int, ...]:
        """Sizes of the indices in the order in which the equation first names them."""
        return tuple(self.size_dict[i] for i in dict.fromkeys(i for indices in self.inputs for i in indices))

    @classmethod
    def parse(
        cls, equation: str, mode_sizes: Sequence[int], features: tuple[int, int], stack: Sequence[int] = ()
    ) -> "TensorNetwork":
        """Inverse of ``equation`` and ``mode_sizes``."""
        left, right = equation.split("->")
        inputs = tuple(tuple(part.split()) for part in left.split(","))
        names = dict.fromkeys(i for indices in inputs for i in indices)
        return cls(inputs, tuple(right.split()), dict(zip(names, mode_sizes, strict=True)), features, tuple(stack))

    def graph(self) -> "nx.MultiGraph[str]":
        """The network as a graph: tensors ``x``, ``y`` and ``core k`` are nodes, shared indices are edges."""
        graph: nx.MultiGraph[str] = nx.MultiGraph()
        ends: dict[str, list[str]] = {}
        names = ["x", *(f"core {k}" for k in range(len(self.inputs) - 1)), "y"]
        for name, indices in zip(names, [*self.inputs, self.output], strict=True):
            graph.add_node(name, indices=indices)
            for index in indices:
                ends.setdefault(index, []).append(name)
        for index, tensors in ends.items():
            for a, b in pairwise(tensors):
                graph.add_edge(a, b, key=index, size=self.size_dict[index])
        return graph


def spread(leading: Sequence[Size], stack: Sequence[int]) -> tuple[Size | int, ...]:
    """Sizes before the features of y, from those of x, the last of which counts rows, and those of a stack.

    Sizes of x may be unknown or symbols; where a stack has one matrix along an axis, that of x stays.
    """
    if not stack:
        return tuple(leading)
    *outer, rows = leading
    padded: list[Size | int] = [*[1] * (len(stack) - len(outer)), *outer]
    free, met = padded[: len(padded) - len(stack)], padded[len(padded) - len(stack) :]
    return (*free, *(own if count == 1 else count for own, count in zip(met, stack, strict=True)), rows)
