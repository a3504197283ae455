"""What the circuits of a layer cost on a quantum device: gates, and the shots for a stated error."""

import numpy as np

from qtnc.planner.plan import CircuitCost
from qtnc.quantum.circuit import Circuit
from qtnc.quantum.shots import planned, preparation_cx, relative_error, shots_for
from qtnc.structures.structure import Part, Problem
from qtnc.tensor.metric import norm


def price(parts: tuple[Part, ...], problem: Problem, error: float, shots: int) -> CircuitCost | None:
    """Price a layer as measured and encoded again, without noise; None where it has no circuits.

    Parameters
    ----------
    error : relative error of the layer's output, for which the shots are counted.
    shots : of a row, both stages together, for which the error is stated.
    """
    circuits = [part.product for part in parts if isinstance(part.product, Circuit)]
    if not circuits:
        return None
    first, last = circuits[0], circuits[-1]
    law = planned(first.amplitudes, last.amplitudes, _gain(problem))
    return CircuitCost(
        qubits=(first.qubits + 1, last.qubits + 1),
        gates=(first.gates, last.gates),
        depth=(first.depth, last.depth),
        angles=first.parameters + last.parameters,
        cx=(first.cx, last.cx),
        preparation_cx=(preparation_cx(first.qubits + 1), preparation_cx(last.qubits + 1)),
        error=error,
        shots_for_error=shots_for(error, law),
        shots=shots,
        error_at_shots=relative_error(shots, law),
    )


def _gain(problem: Problem) -> float | None:
    """``|W|_F^2 |x|^2 / |x W|^2`` over the data; the inner structure has about the norms of the weight."""
    if problem.covariance is None:
        return None
    outputs = norm(problem.weight, problem.covariance)
    power = float(np.trace(problem.covariance))
    return (norm(problem.weight) / outputs) ** 2 * power if outputs > 0.0 else None
