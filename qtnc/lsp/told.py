"""What a model tells of its layers, as data: what conditions compare, and the paths between layers; no weight."""

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Final

import msgspec
import networkx as nx
import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qtnc.errors import InternalError
from qtnc.ir.form import Form, WeightForm
from qtnc.ir.layers import Layer
from qtnc.ir.paths import GraphPaths, flow

LONGEST_NAME: Final = 1000
"""Characters of a name that is told; layers with longer ones are left out."""


@dataclass(frozen=True)
class ToldLayer:
    """One layer, as :class:`qtnc.spec.facts.LayerFacts` without its weight.

    Attributes
    ----------
    node : its number in the graph.
    form : how it multiplies by a matrix, or why it does not.
    plain : how its weight lies; that of no product is taken for a matrix as it is.
    """

    name: str
    op: str
    shape: tuple[int, ...]
    dtype: ir.DataType
    bytes: int
    form: Form | str
    plain: WeightForm
    node: int

    @property
    def elements(self) -> int:
        """Elements of the weight."""
        return prod(self.shape)

    @property
    def matrix_shape(self) -> tuple[int, int]:
        """(M, N) of each matrix."""
        return self.plain.matrix(self.shape)

    def matrix(self) -> NDArray[np.float64]:
        """Never: what hangs on weights is left to plan."""
        raise InternalError(f"the weight of `{self.name}` is not told")


@dataclass(frozen=True)
class ToldModel:
    """The layers of a model in graph order, and the edges between its nodes."""

    layers: tuple[ToldLayer, ...]
    edges: tuple[tuple[int, int], ...] = ()

    @cached_property
    def paths(self) -> GraphPaths:
        """Paths between the layers."""
        return GraphPaths({layer.name: layer.node for layer in self.layers}, self._flow)

    def _flow(self) -> "nx.DiGraph[int]":
        graph: nx.DiGraph[int] = nx.DiGraph(self.edges)
        graph.add_nodes_from(layer.node for layer in self.layers)
        return graph

    def encoded(self) -> bytes:
        """The same as JSON."""
        return msgspec.json.encode(self)

    @classmethod
    def decoded(cls, text: bytes) -> "ToldModel":
        """The model that JSON tells.

        Raises
        ------
        msgspec.DecodeError
            If it tells none.
        """
        return msgspec.json.decode(text, type=cls)


def told(model: ir.Model, layers: tuple[Layer, ...]) -> ToldModel:
    """What a canonical model with these layers tells."""
    edges = flow(model).edges
    numbers: dict[ir.Node, int] = {}
    for node in (*(node for edge in edges for node in edge), *(layer.node for layer in layers)):
        numbers.setdefault(node, len(numbers))
    short = (layer for layer in layers if len(layer.name) <= LONGEST_NAME)
    return ToldModel(
        tuple(
            ToldLayer(x.name, x.op, x.shape, x.dtype, x.bytes, x.form, x.weight_form, numbers[x.node]) for x in short
        ),
        tuple((numbers[a], numbers[b]) for a, b in edges),
    )
