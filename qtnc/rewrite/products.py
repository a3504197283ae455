"""Replace a weight product by the product with a tensor network."""

from collections.abc import Callable, Collection, Iterable, Mapping

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir import convenience

from qtnc.errors import InternalError, PassError
from qtnc.ir.dialect import Order, Product, product_call
from qtnc.ir.initializers import add_initializer, drop_unused_initializers
from qtnc.ir.layers import Layer, find_layers
from qtnc.ir.names import FreeNames
from qtnc.ir.unread import drop_unread
from qtnc.pipeline import PassResult
from qtnc.quantum.circuit import Circuit
from qtnc.quantum.schedule import WIDTHS, fuse
from qtnc.rewrite.decision import Decision, Rewritten
from qtnc.rewrite.fitting import Fitting
from qtnc.rewrite.surroundings import Surroundings
from qtnc.structures.structure import Part, Problem, Stack, Structure, parameters_of, stacked
from qtnc.tensor.order import x_first
from qtnc.work.unit import Outcome, Task
from qtnc.work.work import Work


def declined(layer: Layer, structure: Structure) -> str | None:
    """Why a layer cannot be rewritten as a weight product ``y = x . W``, or None when it can."""
    if isinstance(layer.form, str):
        return layer.form
    if 0 in layer.shape:
        return "its weight is empty"
    if layer.stack and not getattr(structure, "stacks", False):
        count = "x".join(map(str, layer.stack))
        return f"its weight is a stack of {count} matrices, and `{structure.name}` takes a single one"
    return None


def problem_of(layer: Layer, covariance: NDArray[np.float64] | None) -> Problem | Stack:
    """The matrix to approximate, or the stack of them.

    Parameters
    ----------
    covariance : (M, M) of what the layer reads, (S, M, M) where each matrix reads rows of its own, or None.

    Raises
    ------
    PassError
        If the weight holds NaN or infinity.
    """
    weights = layer.matrices()
    if not np.isfinite(weights).all():
        raise PassError(f"the weight of layer `{layer.name}` holds NaN or infinity and cannot be decomposed")
    if layer.stack:
        return Stack(weights, covariance)
    return Problem(np.ascontiguousarray(weights[0], np.float64), covariance)


def replace_products(
    model: ir.Model, decisions: Iterable[Decision], structures: Collection[str], stage: str, work: Work
) -> PassResult:
    """Rewrite the layers decided to be structures of these names; those who watch are told the ``stage``."""
    chosen = {d.layer: d for d in decisions if d.structure.name in structures}
    layers = [layer for layer in find_layers(model) if layer.name in chosen]
    if len(layers) != len(chosen):
        raise InternalError(f"layers {sorted(set(chosen) - {x.name for x in layers})} are not in the model")
    fitted = _fit(layers, chosen, stage, work)
    replacing = _Replacing(model, fitted)
    notes = tuple(replacing.replace(layer, chosen[layer.name]) for layer in layers)
    drop_unused_initializers(model)
    return PassResult(model, bool(notes), notes)


def _fit(layers: list[Layer], chosen: Mapping[str, Decision], stage: str, work: Work) -> dict[str, Outcome]:
    """Cores of every layer that has its own; all are fitted before the graph changes."""
    for layer in layers:
        if reason := declined(layer, chosen[layer.name].structure):
            raise PassError(f"layer `{layer.name}` cannot be rewritten: {reason}")
    own = [layer for layer in layers if not chosen[layer.name].shares]

    def unit(layer: Layer, decision: Decision) -> Callable[[], Fitting]:
        dtype = layer.dtype.numpy().name
        return lambda: Fitting(problem_of(layer, decision.covariance), decision.structure, dtype)

    tasks = [Task(layer.name, effort(layer), unit(layer, chosen[layer.name])) for layer in own]
    return dict(zip((layer.name for layer in own), work.run(stage, tasks), strict=True))


def effort(layer: Layer) -> float:
    """Multiply-adds of an SVD of a layer's weight, about: what it takes to settle or to fit anything grows like it."""
    return float(layer.elements) * min(layer.matrix_shape)


class _Replacing:
    """One run over a model: cores to be stored, names that are free, and what is stored for layers by now."""

    def __init__(self, model: ir.Model, fitted: Mapping[str, Outcome]) -> None:
        self.model = model
        self.fitted = fitted
        self.names = FreeNames(model)
        self._stored: dict[str, tuple[list[ir.Value], float]] = {}

    def replace(self, layer: Layer, decision: Decision) -> Rewritten:
        """Put networks and what belongs around them in the place of a layer."""
        structure, weight = decision.structure, layer.weight
        parts, before = stacked(structure.parts(layer.matrix_shape), layer.stack), layer.elements
        stored, error = self._stored[decision.shares] if decision.shares else self._store(layer, parts)
        self._stored[layer.name] = stored, error
        around = Surroundings(self.model, layer, self.names)
        nodes = [*around.before]
        nodes += _chain(self.model, layer, around.x, parts, stored, self.names)
        nodes += around.after(nodes[-1].outputs[0])
        graph = layer.node.graph
        assert graph is not None  # noqa: S101 - the layer was found in one
        convenience.replace_nodes_and_values(
            graph, layer.node, [layer.node], nodes, layer.node.outputs, nodes[-1].outputs
        )
        drop_unread([weight])
        return Rewritten(layer.name, structure.name, parameters_of(parts), before, error, decision.shares)

    def _store(self, layer: Layer, parts: tuple[Part, ...]) -> tuple[list[ir.Value], float]:
        """Put the cores of a layer into the model, and return their error with them."""
        outcome = self.fitted[layer.name]
        labels = [label for part in parts for label in _labels(_title(layer, part), part.product)]
        shapes = [shape for part in parts for shape in part.product.core_shapes]
        values = [
            add_initializer(self.model, self.names.take(label), array.reshape(shape))
            for label, shape, array in zip(labels, shapes, outcome.arrays, strict=True)
        ]
        return values, outcome.facts["error"]


def _chain(
    model: ir.Model, layer: Layer, x: ir.Value, parts: tuple[Part, ...], stored: list[ir.Value], names: FreeNames
) -> list[ir.Node]:
    """One node a part, each on what the one before it makes."""
    nodes: list[ir.Node] = []
    left = iter(stored)
    for part in parts:
        product, title = part.product, _title(layer, part)
        weights = [next(left) for _ in product.core_shapes]
        node = product_call(model, part.op_type, title, x, weights, product, _first_order(product))
        called = layer.node.name or ""
        node.name = f"{called}.{part.role}" if called and part.role else called
        node.outputs[0].name = names.take(f"{title}.product")
        node.metadata_props.update(layer.node.metadata_props)
        nodes.append(node)
        x = node.outputs[0]
    return nodes


def _title(layer: Layer, part: Part) -> str:
    return f"{layer.name}.{part.role}" if part.role else layer.name


def _labels(title: str, product: Product) -> list[str]:
    if isinstance(product, Circuit):
        return [f"{title}_angles" for _ in product.core_shapes]
    return [f"{title}.core_{number}" for number in range(len(product.core_shapes))]


def _first_order(product: Product) -> Order:
    """An order that is always right; the cheapest is chosen by a pass of its own."""
    return fuse(product, WIDTHS[-1]) if isinstance(product, Circuit) else x_first(product)
