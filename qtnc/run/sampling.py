"""One stage on a simulated device: encode beside a reference, apply a circuit, read signed amplitudes off the counts.

The reference ``|1>|C^-1 r>``, r uniform, gives every amplitude a sign in one setting, and the circuit needs no control;
:mod:`qtnc.quantum.shots` has the arithmetic and the error. C^-1 r is computed here by simulating C^-1: that is possible
where the run is, and no general recipe for registers beyond.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from qtnc.errors import BackendError, Diagnostic, MissingExtraError
from qtnc.quantum.circuit import Circuit
from qtnc.quantum.gates import Angles, so4
from qtnc.quantum.shots import fidelity
from qtnc.run.memory import method_for

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

Matrix = NDArray[np.float64]

BASIS: Final = ("cx", "u")
"""Gates that circuits are transpiled to, on a device that connects all qubits."""

FAINTEST: Final = 1e-100
"""Share of the signal below which the square of its inverse leaves the range of numbers."""


@dataclass(frozen=True)
class Cost:
    """CX gates and depth of a transpiled circuit; depth counts every gate, of one qubit too."""

    cx: int
    depth: int


@dataclass(frozen=True, eq=False)
class ReadOut:
    """What a stage measured.

    Attributes
    ----------
    vectors : estimates of C v, (rows, 2^n), unbiased under global depolarising noise: divided by ``fidelity``.
    fidelity : share of the signal left in each row's counts, (rows,), of the CX of that row and the noise.
    encoding, circuit : counts of the encoding, the largest of any row, and of the rest, the same for all.
    """

    vectors: Matrix
    fidelity: NDArray[np.float64]
    encoding: Cost
    circuit: Cost


def require_quantum() -> None:
    """Say which extra is missing before any work is done."""
    try:
        import qiskit  # noqa: F401
        import qiskit_aer  # noqa: F401
    except ImportError as error:
        message = f"running circuits needs qiskit and qiskit-aer: {error}"
        raise MissingExtraError(Diagnostic(message, help='pip install "qtnc[quantum]"')) from error


def read_out(circuit: Circuit, angles: Angles, vectors: Matrix, *, shots: int, seed: int, noise: float) -> ReadOut:
    """Measure ``C v`` for rows v (rows, M) of any norm; a row of zeros gives zeros and takes no circuit.

    Parameters
    ----------
    shots : for each row.
    noise : probability with which a CX depolarises its two qubits.

    Raises
    ------
    BackendError
        If noise leaves nothing of the signal.
    """
    from qiskit.transpiler import generate_preset_pass_manager

    transpiler = generate_preset_pass_manager(optimization_level=1, basis_gates=list(BASIS))
    norms = _norms(vectors)
    kept = norms > 0
    reference = _reference(circuit, angles)
    states = np.zeros((int(kept.sum()), circuit.amplitudes))
    states[:, : vectors.shape[1]] = vectors[kept] / norms[kept, None]

    rest = transpiler.run(_interference(circuit, angles))
    encodings = [transpiler.run(_encoding(state, reference)) for state in states]  # a list would start processes
    cost, costs = _cost(rest), [_cost(encoding) for encoding in encodings]
    left = np.ones(len(vectors))
    left[kept] = [fidelity(noise, each.cx + cost.cx) for each in costs]
    if left.min() < FAINTEST:
        reason = f"{cost.cx + max(each.cx for each in costs)} CX at noise {noise} leave nothing of the signal"
        raise BackendError(Diagnostic(reason, help="less noise, or a layer with fewer features"))

    found = np.zeros((len(vectors), circuit.amplitudes))
    counts = _sample([encoding.compose(rest) for encoding in encodings], shots, seed, noise)
    found[kept] = (counts[:, 0] - counts[:, 1]) / shots * np.sqrt(circuit.amplitudes)
    largest = Cost(max((each.cx for each in costs), default=0), max((each.depth for each in costs), default=0))
    return ReadOut(found * (norms / left)[:, None], left, largest, cost)


def _norms(rows: Matrix) -> NDArray[np.float64]:
    """Norm of each row, also where its square is out of range."""
    peaks = np.abs(rows).max(axis=1, keepdims=True)
    return np.asarray(np.linalg.norm(rows / np.where(peaks > 0, peaks, 1.0), axis=1) * peaks[:, 0])


def _encoding(state: Matrix, reference: Matrix) -> "QuantumCircuit":
    from qiskit import QuantumCircuit
    from qiskit.circuit.library import StatePreparation

    both = np.concatenate([state, reference]) / np.sqrt(2)
    built = QuantumCircuit(len(both).bit_length() - 1)
    built.append(StatePreparation(both), built.qubits)
    return built


def _interference(circuit: Circuit, angles: Angles) -> "QuantumCircuit":
    """The circuit on the register, Hadamard on the ancilla, which is Qiskit's last qubit."""
    from qiskit import QuantumCircuit

    from qtnc.backends.qiskit.circuits import bind, compose

    register = bind(compose("register", circuit.qubits, circuit.pairs), angles.tolist())
    built = QuantumCircuit(circuit.qubits + 1).compose(register, range(circuit.qubits))
    built.h(circuit.qubits)
    return built


def _reference(circuit: Circuit, angles: Angles) -> Matrix:
    """C^-1 of the uniform vector: transposed gates in reverse."""
    shape = (2,) * circuit.qubits
    state = np.full(shape, circuit.amplitudes**-0.5)
    for gate, pair in zip(so4(angles)[::-1], reversed(circuit.pairs), strict=True):
        state = np.moveaxis(np.tensordot(state, gate.reshape(2, 2, 2, 2), axes=(pair, (0, 1))), (-2, -1), pair)
    return state.reshape(-1)


def _sample(circuits: "list[QuantumCircuit]", shots: int, seed: int, noise: float) -> Matrix:
    """Counts (rows, 2, 2^n) of all circuits, in one call of the primitive; the ancilla's outcome is the second axis."""
    from qiskit_aer.primitives import SamplerV2

    if not circuits:
        return np.zeros((0, 2, 1))  # nothing to be measured
    qubits = circuits[0].num_qubits
    options: dict[str, Any] = {"method": method_for(qubits, shots, noise)}
    if noise:
        options["noise_model"] = _depolarising(noise)
    sampler = SamplerV2(seed=seed, options={"backend_options": options})
    results = sampler.run([circuit.measure_all(inplace=False) for circuit in circuits], shots=shots).result()
    counts = np.zeros((len(circuits), 1 << qubits))
    for row, result in zip(counts, results, strict=True):
        found = result.data.meas.get_int_counts()
        row[list(found)] = list(found.values())
    return counts.reshape(len(circuits), 2, -1)


def _depolarising(noise: float) -> Any:
    from qiskit_aer.noise import NoiseModel, depolarizing_error

    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(noise, 2), ["cx"])
    return model


def _cost(circuit: "QuantumCircuit") -> Cost:
    return Cost(circuit.count_ops().get("cx", 0), circuit.depth())
