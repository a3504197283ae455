"""The files of a layer."""

from pathlib import Path
from typing import Any

import numpy as np
from qiskit import QuantumCircuit, qasm3, qpy
from safetensors.numpy import save

from qtnc.backends.qiskit.circuits import bind, compose
from qtnc.backends.qiskit.counts import circuit_record, network_record
from qtnc.backends.qiskit.device import twin
from qtnc.backends.qiskit.source import text
from qtnc.backends.qiskit.target import Target
from qtnc.ir.circuit_layer import CircuitLayer
from qtnc.quantum.circuit import Circuit
from qtnc.quantum.gates import Angles


def write_layer(layer: CircuitLayer, stem: str, target: Target, device: Target, folder: Path) -> dict[str, Any]:
    """Write what a layer has but its part of resources.json, which is returned.

    Parameters
    ----------
    stem : what its files are called.
    target, device : what the spec names, for the file's name, and the device of a size that it stands for.
    """
    c_in = _bound(f"{stem}.input", layer.input, layer.input_angles)
    c_out = _bound(f"{stem}.output", layer.output, layer.output_angles)
    twins = twin(c_in, device), twin(c_out, device)
    (folder / f"{stem}.py").write_text(text(layer, stem), encoding="utf-8", newline="\n")
    _dump(folder / f"{stem}.qpy", c_in, c_out)
    _dump(folder / f"{stem}.{target}.qpy", *twins)
    for circuit in (c_in, c_out):
        # With constants, an angle within 1e-9 of a multiple of pi would be written as that.
        code = qasm3.dumps(circuit, disable_constants=True)
        (folder / f"{circuit.name}.qasm").write_text(code, encoding="utf-8", newline="\n")
    arrays = {"input_angles": layer.input_angles, "output_angles": layer.output_angles}
    arrays |= {f"core_{number}": core for number, core in enumerate(layer.cores)}
    held = {name: np.ascontiguousarray(array, np.float64) for name, array in arrays.items()}
    (folder / f"{stem}.safetensors").write_bytes(save(held))
    return {
        "layer": layer.name,
        "file": f"{stem}.py",
        "device": str(device),
        "features": list(layer.features),
        "input": circuit_record(layer.input, c_in, twins[0]),
        "output": circuit_record(layer.output, c_out, twins[1]),
        "inner": network_record(layer.inner),
    }


def _bound(name: str, circuit: Circuit, angles: Angles) -> QuantumCircuit:
    return bind(compose(name, circuit.qubits, circuit.pairs), np.asarray(angles, np.float64).tolist())


def _dump(path: Path, *circuits: QuantumCircuit) -> None:
    with path.open("wb") as file:
        qpy.dump(list(circuits), file)
