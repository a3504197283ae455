"""What the weights of a model come to before and after the rewrites, and which of them stay although rewritten."""

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from types import MappingProxyType
from typing import Final

import onnx_ir as ir

from qtnc.errors import printable
from qtnc.ir.layers import Layer, weight_tensor
from qtnc.planner.plan import LayerPlan
from qtnc.rewrite.surroundings import factors_of

Totals = tuple[int, int]
"""Parameters, and bytes of all. Parameters are floating-point elements and the whole numbers that stand for such."""

QUANTISED: Final[Mapping[str, tuple[int, ...]]] = MappingProxyType(
    {
        "DequantizeLinear": (0,),
        "MatMulInteger": (0, 1),
        "QLinearMatMul": (0, 3),
        "ConvInteger": (0, 1),
        "QLinearConv": (0, 3),
    }
)
"""Operators that read whole numbers in the place of floating-point ones, and at which inputs."""


def weights_of(model: ir.Model) -> list[ir.Value]:
    """Initialisers of all graphs."""
    return [v for graph in model.graphs() for v in graph.initializers.values() if v.const_value is not None]


def totals(weights: Iterable[ir.Value]) -> Totals:
    """What some weights come to."""
    held = list(weights)
    parameters = sum(prod(weight_tensor(weight).shape.numpy()) for weight in held if _is_parameter(weight))
    return parameters, sum(weight_tensor(weight).nbytes for weight in held)


def totals_after(weights: Iterable[ir.Value], layers: Sequence[Layer], entries: Iterable[LayerPlan]) -> Totals:
    """What is left: what nothing reads any more goes, what layers become comes, once where layers share it.

    The factors of a Gemm come too: they were attributes, and are stored.
    """
    becomes = [entry for entry in entries if entry.structure != "dense"]
    gone = _unread(layers, {entry.layer for entry in becomes})
    parameters, size = totals(weight for weight in weights if weight not in gone)
    new = [entry for entry in becomes if entry.shares is None]
    names = {entry.layer for entry in becomes}
    factors = [(len(factors_of(layer)), layer.dtype.itemsize) for layer in layers if layer.name in names]
    parameters += sum(e.parameters for e in new) + sum(count for count, _ in factors)
    return parameters, size + sum(e.bytes for e in new) + int(sum(count * each for count, each in factors))


def sharing_notes(layers: Sequence[Layer], entries: Iterable[LayerPlan]) -> list[str]:
    """Say which layers share their numbers, and whose dense weight stays because something else reads it."""
    becomes = {entry.layer: entry for entry in entries if entry.structure != "dense"}
    gone = _unread(layers, set(becomes))
    notes = []
    for layer in layers:
        if layer.name not in becomes:
            continue
        if shared := becomes[layer.name].shares:
            notes.append(f"`{printable(layer.name)}` shares the weight of `{printable(shared)}`, which counts once")
        kept = [value for value in layer.constants.sources(layer.weight) if value not in gone]
        largest = max(kept, key=lambda value: weight_tensor(value).nbytes, default=None)
        if largest is not None and 2 * weight_tensor(largest).nbytes > layer.bytes:
            who = _other_reader(layer, layers, set(becomes))
            notes.append(
                f"the dense weight of `{printable(layer.name)}` stays, for {who} reads it too: nothing is saved"
            )
    return notes


def _is_parameter(weight: ir.Value) -> bool:
    if weight_tensor(weight).dtype.is_floating_point():
        return True
    return any(use.idx in QUANTISED.get(use.node.op_type, ()) for use in weight.uses())


def _other_reader(layer: Layer, layers: Sequence[Layer], becomes: set[str]) -> str:
    mine = set(layer.constants.sources(layer.weight))
    for other in layers:
        if other.name not in becomes and mine & set(other.constants.sources(other.weight)):
            return f"`{printable(other.name)}` ({other.op})"
    return "something else"


def _unread(layers: Sequence[Layer], becomes: set[str]) -> set[ir.Value]:
    """Constants that nothing reads once some layers are rewritten."""
    if not layers:
        return set()
    replaced = {(layer.node, layer.position) for layer in layers if layer.name in becomes}
    gone: set[ir.Value] = set()
    for value in reversed(tuple(layers[0].constants)):
        uses = ((use.node, use.idx) for use in value.uses())
        if not value.is_graph_output() and all(use in replaced or gone.issuperset(use[0].outputs) for use in uses):
            gone.add(value)
    return gone
