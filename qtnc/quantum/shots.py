"""What measuring costs: the error that a number of shots leaves in ``y = C_out . K . C_in x``, and its inverse.

Two stages share the shots evenly, s = shots / 2 for each. A stage encodes a unit vector b' of d amplitudes beside a
reference, ``(|0>|b'> + |1>|C^-1 r>) / sqrt 2`` with ``r_i = 1 / sqrt d``, applies its circuit C to both, a Hadamard
gate to the ancilla, and measures everything. With b = C b' outcomes have the probabilities ``(b_i +- r_i)^2 / 4``, so
``(P_0i - P_1i) / r_i = b_i``, sign included, and relative frequencies put in place of P are an unbiased estimate. Under
global depolarising noise P becomes ``F P + (1 - F) / 2d``; dividing by the known F keeps the estimate unbiased, and as
counts are multinomial

    s Cov = d/2F diag(b^2) + (1/F^2 - 1/2F) I - b b^T,            trace d/F^2 - 1, which is d - 1 without noise.

Between the stages K is applied classically, and norms are kept classically. With a = C_in x, z = a K, y the N of 2^q
amplitudes of C_out z that are kept, L = (K, then C_out, cut) of shape (2^p, N), stage 1 alone leaves in y

    V(L) / s,   V(L) = 2^p/2F_1 sum_i a_i^2 |L_i|^2 + (1/F_1^2 - 1/2F_1) |a|^2 |L|_F^2 - |y|^2,

and in z likewise V(K) / s; stage 2, summed over the N kept amplitudes of a vector of length |z'|, leaves

    G(|y'|^2, |z'|^2) / s,   G(u, v) = (2^q/2F_2 - 1) u + N (1/F_2^2 - 1/2F_2) v.

It has mean zero whatever stage 1 gave, and G is linear, so with nothing neglected

    E|y' - y|^2 = [V(L) + G(|y|^2, |z|^2)] / s + G(V(L), V(K)) / s^2.

Zeros that pad x to 2^p change nothing but 2^p. Where the squares of a are spread evenly over the rows of K, and all 2^q
amplitudes are kept, this is ``1 + e^2 = (1 + s_1)(1 + s_2)`` with ``s_1 = (|K|_F^2 |a|^2 / |z|^2 / F_1^2 - 1) / s`` and
``s_2 = (2^q / F_2^2 - 1) / s``; for an isotropic a the ratio of norms is 2^p. That form plans without data.
"""

from dataclasses import dataclass
from math import ceil, nan, sqrt

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Fidelity = float | Vector
"""F of a stage, in (0, 1]: one number, or one a row."""


@dataclass(frozen=True)
class Law:
    """``e^2 = first / s + second / s^2`` for s shots in each of the two stages, e the relative error of y."""

    first: float
    second: float


def law_of(a: Matrix, inner: Matrix, outer: Matrix, fidelities: tuple[Fidelity, Fidelity] = (1.0, 1.0)) -> Law:
    """Law of rows that are known, all of them together: ``e = sqrt(sum |y' - y|^2 / sum |y|^2)``, NaN where y is zero.

    Parameters
    ----------
    a : rows after the input circuit, (rows, 2^p), of any norm.
    inner : the inner network, (2^p, 2^q).
    outer : inner network and output circuit, cut to the features of y, (2^p, N).
    fidelities : of stage 1 and stage 2.
    """
    first, second = fidelities
    z, y = _squares(a @ inner), _squares(a @ outer)
    from_first = _passed_on(a, outer, first)
    alone = from_first + _read_out(y, z, inner.shape[1], outer.shape[1], second)
    both = _read_out(from_first, _passed_on(a, inner, first), inner.shape[1], outer.shape[1], second)
    total = float(np.sum(y))
    # A register of no qubits has no error, and rounding may fall below it.
    return Law(*(max(0.0, float(np.sum(part))) / total for part in (alone, both))) if total else Law(nan, nan)


def planned(d_in: int, d_out: int, gain: float | None = None, fidelities: tuple[float, float] = (1.0, 1.0)) -> Law:
    """Law without a known row, for registers of ``d_in = 2^p`` and ``d_out = 2^q`` amplitudes.

    ``gain`` is ``|K|_F^2 |a|^2 / |K a|^2``; without it a is taken as isotropic, which makes it ``d_in``. It is right
    for many such rows together; one row by itself may lie on either side.
    """
    first = (d_in if gain is None else gain) / fidelities[0] ** 2 - 1
    second = d_out / fidelities[1] ** 2 - 1
    return Law(first + second, first * second)


def relative_error(shots: int, law: Law) -> float:
    """Root mean square of the relative error at a number of shots, both stages together."""
    each = shots / 2
    return sqrt(law.first / each + law.second / each**2)


def shots_for(error: float, law: Law) -> int:
    """Least even number of shots, both stages together, whose error is at most ``error`` > 0."""
    if not error > 0:
        raise ValueError(f"no number of shots leaves an error of {error}")
    square = error**2
    each = (law.first + sqrt(law.first**2 + 4 * law.second * square)) / (2 * square)
    return 2 * max(1, ceil(each * (1 - 1e-12)))


def preparation_cx(qubits: int) -> int:
    """CX gates that encode any real vector of 2^qubits amplitudes: an estimate, ``2^n - n - 1``.

    A multiplexed Ry for each qubit, of which the k-th has 2^k - 1 (Shende, Bullock and Markov, IEEE Trans. CAD 25
    (2006) 1000). It is what Qiskit's ``StatePreparation`` takes on a device that connects all qubits; vectors with
    structure may take less, routing takes more. A stage on n qubits encodes n + 1, the ancilla among them.
    """
    return (1 << qubits) - qubits - 1


def fidelity(p2: float, cx: int) -> float:
    """Share of the signal that is left after ``cx`` gates, each of which depolarises with probability ``p2``.

    It is the global model: wherever an error strikes, nothing of the signal is left. Local errors leave a little, so
    the true share is slightly larger.
    """
    return float((1.0 - p2) ** cx)


def _passed_on(a: Matrix, onward: Matrix, fidelity: Fidelity) -> Vector:
    """V: what the read-out of stage 1 leaves after a linear map (2^p, ...), for one shot, (rows,)."""
    lengths = _squares(onward)
    spread = (a**2 @ lengths) * (len(onward) / (2 * fidelity))
    return np.asarray(spread + _floor(fidelity) * _squares(a) * np.sum(lengths) - _squares(a @ onward))


def _read_out(y: Vector, z: Vector, amplitudes: int, kept: int, fidelity: Fidelity) -> Vector:
    """G: what the read-out of stage 2 leaves in the kept amplitudes, for one shot, from |y|^2 and |z|^2, (rows,)."""
    return np.asarray((amplitudes / (2 * fidelity) - 1) * y + kept * _floor(fidelity) * z)


def _floor(fidelity: Fidelity) -> Fidelity:
    """Variance of an amplitude that is zero, for one shot."""
    return 1 / fidelity**2 - 1 / (2 * fidelity)


def _squares(rows: Matrix) -> Vector:
    return np.asarray(np.einsum("ij,ij->i", rows, rows))
