"""A weight product as circuit, tensor network and circuit, with its numbers."""

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qtnc.ir.dialect import circuit_of, is_circuit, is_qtn, network_of
from qtnc.ir.layers import weight_tensor
from qtnc.quantum.circuit import Circuit
from qtnc.quantum.gates import Angles
from qtnc.tensor.network import TensorNetwork


@dataclass(frozen=True, eq=False)
class CircuitLayer:
    """``y = x . C_in . K . C_out`` in place of ``y = x . W``; a circuit without gates is gauge all through.

    Attributes
    ----------
    name : canonical layer name, as hostile as the model it comes from.
    features : (M, N), the shape of W.
    input, input_angles : C_in, from M features to the amplitudes of its register; angles (gates, 6).
    output, output_angles : C_out, of whose amplitudes the first N come out; angles (gates, 6).
    inner, cores : K, from the amplitudes of one register to those of the other.

    Raises
    ------
    ValueError
        If the parts do not fit each other.
    """

    name: str
    features: tuple[int, int]
    input: Circuit
    input_angles: Angles
    output: Circuit
    output_angles: Angles
    inner: TensorNetwork
    cores: tuple[NDArray[np.float64], ...]

    def __post_init__(self) -> None:
        arrays = (self.input_angles, self.output_angles, *self.cores)
        shapes = (*self.input.core_shapes, *self.output.core_shapes, *self.inner.core_shapes)
        if tuple(array.shape for array in arrays) != shapes:
            raise ValueError(f"arrays of shapes {[array.shape for array in arrays]} where {list(shapes)} belong")
        amplitudes = (self.input.amplitudes, self.output.amplitudes)
        if self.inner.features != amplitudes:
            raise ValueError(f"a network of {self.inner.features} features between registers of {amplitudes}")
        if any(held > size for held, size in zip(self.features, amplitudes, strict=True)):
            raise ValueError(f"registers of {amplitudes} amplitudes do not hold the features {self.features}")

    @property
    def qubits(self) -> int:
        """Qubits of the larger register."""
        return max(self.input.qubits, self.output.qubits)


def find_circuit_layers(model: ir.Model) -> tuple[CircuitLayer, ...]:
    """Layers of a model that are circuits around a network, in graph order, with the numbers as they are stored."""
    return tuple(
        _layer(node)
        for node in ir.traversal.RecursiveGraphIterator(model.graph)
        if is_qtn(node) and not is_circuit(node) and _before(node)
    )


def _layer(inner: ir.Node) -> CircuitLayer:
    first, last = _before(inner), _after(inner)
    assert first is not None  # noqa: S101 - asked before
    assert last is not None  # noqa: S101 - circuits come in pairs
    input_angles, output_angles = _weights(first)[0], _weights(last)[0]
    entry, leave = circuit_of(first), circuit_of(last)
    features = (entry.features[0], leave.features[1])
    network, cores = network_of(inner), _weights(inner)
    return CircuitLayer(inner.overload, features, entry, input_angles, leave, output_angles, network, cores)


def _before(inner: ir.Node) -> ir.Node | None:
    node = inner.inputs[0].producer() if inner.inputs[0] is not None else None
    return node if node is not None and is_qtn(node) and is_circuit(node) else None


def _after(inner: ir.Node) -> ir.Node | None:
    nodes = (use.node for use in inner.outputs[0].uses())
    return next((node for node in nodes if is_qtn(node) and is_circuit(node)), None)


def _weights(node: ir.Node) -> tuple[NDArray[np.float64], ...]:
    return tuple(weight_tensor(value).numpy().astype(np.float64) for value in node.inputs[1:] if value is not None)
