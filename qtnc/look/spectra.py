"""What tells whether a weight will compress: how fast its singular values fall, and how far it is from a product."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from qtnc.ir.layers import Layer
from qtnc.tensor.entropy import operator_entropy
from qtnc.tensor.threads import one_thread

ERRORS: Final = (0.1, 0.2, 0.3)
"""Relative errors for which ranks are given."""

DIGITS = 6
"""Of what is given; what differs by rounding alone is the same."""


@dataclass(frozen=True)
class Spectrum:
    """Numbers of one weight as a matrix; all None where it is none, is empty or holds NaN or infinity.

    Attributes
    ----------
    stable_rank : squared Frobenius norm by squared largest singular value.
    ranks : smallest ranks within :data:`ERRORS`, without data.
    entropy : operator entanglement entropy across the balanced cut, in bits; 0 is a Kronecker product.
    """

    stable_rank: float | None = None
    ranks: tuple[int, ...] | None = None
    entropy: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data, ranks by error in percent."""
        named = {f"{error:.0%}": None if self.ranks is None else self.ranks[k] for k, error in enumerate(ERRORS)}
        return asdict(self) | {"ranks": named}


def spectrum_of(layer: Layer) -> Spectrum:
    """Measure the weight of a layer."""
    if len(layer.shape) != 2 or 0 in layer.shape:
        return Spectrum()
    weight = layer.matrix()
    if not np.isfinite(weight).all():
        return Spectrum()
    with one_thread():
        values = _squares(weight)
        entropy = round(operator_entropy(weight), DIGITS)
    total = float(values.sum())
    if total == 0.0:
        return Spectrum(0.0, (0,) * len(ERRORS), entropy)
    tails = total - np.concatenate([[0.0], np.cumsum(values)])
    ranks = tuple(int(np.argmax(tails <= error**2 * total)) for error in ERRORS)
    return Spectrum(round(total / float(values[0]), DIGITS), ranks, entropy)


def _squares(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared singular values by falling size, up to a factor, from the smaller Gram matrix; tiny ones do not count."""
    scaled = weight / (np.abs(weight).max() or 1.0)  # no square leaves the range of numbers
    gram = scaled @ scaled.T if scaled.shape[0] <= scaled.shape[1] else scaled.T @ scaled
    found: NDArray[np.float64] = scipy.linalg.eigvalsh(gram)[::-1]
    return np.maximum(found, 0.0)
