"""Qiskit out: the files of every layer that has circuits, and ``resources.json``, what they cost."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from qtnc.backends.qiskit.names import stems
from qtnc.backends.qiskit.options import QiskitOptions
from qtnc.backends.qiskit.target import Target
from qtnc.errors import BackendError, Diagnostic, MissingExtraError, printable
from qtnc.ir.circuit_layer import CircuitLayer

FORMAT: Final = 1


def require_qiskit() -> None:
    """Refuse to go on without Qiskit.

    Raises
    ------
    MissingExtraError
        Naming the extra that brings it.
    """
    try:
        import qiskit  # noqa: F401
    except ImportError as error:
        missing = "circuits come out as Qiskit's, which is not installed"
        raise MissingExtraError(Diagnostic(missing, help='pip install "qtnc[quantum]"')) from error


def emit_qiskit(layers: Sequence[CircuitLayer], options: QiskitOptions, folder: Path) -> None:
    """Write each layer as code, QPY, OpenQASM 3, transpiled QPY and safetensors, and what all cost as JSON.

    The same layers, options and version of Qiskit give the same bytes.

    Parameters
    ----------
    folder : an existing folder, empty.

    Raises
    ------
    MissingExtraError, BackendError
        Before anything is written: Qiskit is not installed; the target is unknown or too small for a layer, or an
        angle is not a number.
    """
    require_qiskit()
    target = _target(options)
    devices = [_device(layer, target) for layer in layers]
    for layer in layers:
        _check_angles(layer)

    import qiskit

    from qtnc.backends.qiskit import device, files

    resources = {
        "format": FORMAT,
        "target": str(target),
        "basis_gates": list(device.BASIS),
        "optimization_level": device.LEVEL,
        "seed_transpiler": device.SEED,
        "qiskit": qiskit.__version__,
        "shots": options.shots,
        "error": options.error,
        "layers": [
            files.write_layer(layer, stem, target, sized, folder)
            for layer, stem, sized in zip(layers, stems(layer.name for layer in layers), devices, strict=True)
        ],
    }
    (folder / "resources.json").write_text(json.dumps(resources, indent=2) + "\n", encoding="utf-8", newline="\n")


def _target(options: QiskitOptions) -> Target:
    try:
        return Target.parse(options.target)
    except ValueError as error:
        raise BackendError(str(error)) from error


def _device(layer: CircuitLayer, target: Target) -> Target:
    """The device that a target without a size is for this layer."""
    device = target.sized(layer.qubits)
    if device.qubits >= layer.qubits:
        return device
    raise BackendError(
        Diagnostic(
            f"layer `{printable(layer.name)}` takes {layer.qubits} qubits and target `{target}` has {device.qubits}: "
            "there would be gates on qubits that do not exist",
            help=f"say `{target.kind}` for the smallest that holds the layer, or name a larger one",
        )
    )


def _check_angles(layer: CircuitLayer) -> None:
    if not all(np.isfinite(angles).all() for angles in (layer.input_angles, layer.output_angles)):
        raise BackendError(f"layer `{printable(layer.name)}` has angles that are not finite numbers")
