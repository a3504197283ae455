"""Circuit layers of an output folder, read from ``qiskit/resources.json`` and the arrays beside it."""

import json
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from qtnc.errors import Diagnostic, OutputError
from qtnc.ir.circuit_layer import CircuitLayer
from qtnc.quantum.circuit import Circuit
from qtnc.tensor.network import TensorNetwork
from qtnc.tensor.order import steps, x_first

FORMAT: Final = 1
FOLDER: Final = "qiskit"
FILE: Final = "resources.json"
AGAIN: Final = "compile again"

WIDEST: Final = 64
"""Qubits beyond which a register is damage: no count of amplitudes goes so far."""

T = TypeVar("T")


def read_layers(out: Path) -> tuple[CircuitLayer, ...]:
    """Read every circuit layer of a compiled folder.

    Raises
    ------
    OutputError
        If the folder has no circuits, or a file is missing, damaged, or outside of the folder.
    """
    path = out / FOLDER / FILE
    if not path.is_file():
        way_out = "compile with `emit qiskit` in the spec"
        raise OutputError(Diagnostic("the folder holds no circuits", place=str(out), help=way_out))
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']!r}, this qtnc reads {FORMAT}")
        layers = tuple(_layer(path.parent, entry) for entry in _as(list, content["layers"]))
        if len({layer.name for layer in layers}) < len(layers):
            raise ValueError("two layers have one name")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise OutputError(Diagnostic(f"damaged: {reason}", place=str(path), help=AGAIN)) from error
    except OSError as error:
        raise OutputError(Diagnostic(f"cannot be read: {error.strerror or error}", place=str(path))) from error
    if not layers:
        raise OutputError(Diagnostic("no layer became a circuit", place=str(path), help="rewrite one to `circuit`"))
    return layers


def _layer(folder: Path, content: Any) -> CircuitLayer:
    """Take what has the right type; whatever else is found raises what reading it raises."""
    name, (m, n) = _as(str, content["layer"]), _numbers(content["features"], 2)
    p, q = _qubits(content["input"]), _qubits(content["output"])
    first = Circuit(p, _pairs(content["input"]), (m, 1 << p))
    last = Circuit(q, _pairs(content["output"]), (1 << q, n))
    inner = content["inner"]
    a, z = _numbers(inner["features"], 2)
    network = TensorNetwork.parse(_as(str, inner["equation"]), _numbers(inner["mode_sizes"]), (a, z))
    if any(len(set(indices)) < len(indices) for indices in (*network.inputs, network.output)):
        raise ValueError(f"{network.equation[:40]!r} names an index twice in one tensor")
    steps(network, x_first(network))  # what no path contracts is found here
    shapes = {"input_angles": first.core_shapes[0], "output_angles": last.core_shapes[0]}
    shapes |= {f"core_{k}": shape for k, shape in enumerate(network.core_shapes)}
    arrays = _arrays(folder, _as(str, content["file"]).removesuffix(".py"), shapes)
    cores = tuple(arrays[f"core_{k}"] for k in range(len(network.core_shapes)))
    return CircuitLayer(name, (m, n), first, arrays["input_angles"], last, arrays["output_angles"], network, cores)


def _arrays(folder: Path, stem: str, shapes: dict[str, tuple[int, ...]]) -> dict[str, NDArray[np.float64]]:
    """Read a layer's arrays; the stem comes from a file and must not lead out of the folder."""
    path = folder / f"{stem}.safetensors"
    if not stem.isidentifier() or not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{stem[:40]!r} is not the name of a file in the folder")
    if not path.is_file():
        raise OutputError(Diagnostic("the file is missing", place=str(path), help=AGAIN))
    try:
        found = load_file(path)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise OutputError(Diagnostic(f"damaged: {error}", place=str(path), help=AGAIN)) from error
    for name, shape in shapes.items():
        if fault := _misfit(found.get(name), shape):
            raise OutputError(Diagnostic(f"damaged: `{name}` {fault}", place=str(path), help=AGAIN))
    return found


def _misfit(array: NDArray[Any] | None, shape: tuple[int, ...]) -> str | None:
    if array is None:
        return "is missing"
    if array.dtype != np.float64 or array.shape != shape:
        return f"is {array.dtype} {array.shape} where float64 {shape} belongs"
    return None if np.isfinite(array).all() else "holds NaN or infinity"


def _qubits(content: Any) -> int:
    qubits = _as(int, content["qubits"])
    if not 0 <= qubits <= WIDEST:
        raise ValueError(f"a register of {qubits} qubits")
    return qubits


def _pairs(content: Any) -> tuple[tuple[int, int], ...]:
    return tuple((_as(int, a), _as(int, b)) for a, b in _as(list, content["pairs"]))


def _numbers(content: Any, count: int | None = None) -> tuple[int, ...]:
    numbers = tuple(_as(int, number) for number in _as(list, content))
    if count not in (None, len(numbers)) or any(number < 1 for number in numbers):
        raise ValueError(f"{str(content)[:40]} where {count or 'some'} positive whole numbers belong")
    return numbers


def _as(kind: type[T], value: Any) -> T:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{str(value)[:40]!r} where a {kind.__name__} belongs")
    return value
