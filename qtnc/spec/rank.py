"""What `top N of SET by KEY` ranks layers by: numbers of their weights, which are read for what needs them alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qtnc.errors import printable
from qtnc.spec import program
from qtnc.spec.facts import LayerFacts, axes, has_one_matrix
from qtnc.spec.values import RefusedError
from qtnc.structures.structure import MisfitError, Problem, Structure
from qtnc.tensor.decay import spectral_decay
from qtnc.tensor.entropy import operator_entropy
from qtnc.tensor.threads import one_thread

DIGITS = 9
"""Of what is computed: what differs by rounding alone is a tie."""


class NoValueError(ValueError):
    """A layer has no value under a key; the message says why."""


def _weight(layer: LayerFacts) -> NDArray[np.float64]:
    """Weight of a product, read for what is computed from it."""
    if not has_one_matrix(layer) or 0 in layer.shape:
        raise NoValueError(f"a {layer.op} of {axes(layer.shape)} is no product x . W with a matrix W")
    weight = layer.matrix()
    if not np.isfinite(weight).all():
        raise NoValueError("its weight holds NaN or infinity")
    return weight


def _error(weight: NDArray[np.float64], structure: Structure) -> float:
    """Relative error of the weight that the structure would leave, without data."""
    # By a power of two, which is exact, so that no square of a very small or large weight leaves the range of numbers.
    scaled = np.ldexp(weight, -int(np.frexp(np.abs(weight).max())[1]))
    try:
        return structure.propose(Problem(scaled)).predicted_error
    except MisfitError as error:
        raise NoValueError(str(error)) from error


KEYS = {
    "elements": "elements of the weight",
    "bytes": "bytes that the weight is stored in",
    "entropy": "operator entanglement entropy of the weight in bits",
    "decay": "share of the squared singular values outside the leading tenth of them",
    "error": "relative error of the weight as a structure would leave it",
}
"""What layers are ranked by, and what that is of a layer."""

TOLD = frozenset({"elements", "bytes"})
"""Keys that a layer tells without its weight."""

AT_STRUCTURE = frozenset({"error"})
"""Keys that are asked at a structure."""


def _measure(layer: LayerFacts, key: str, structure: Any) -> float:
    """What a layer is worth under a key."""
    match key:
        case "elements":
            return layer.elements
        case "bytes":
            return layer.bytes
    weight = _weight(layer)
    with one_thread():
        match key:
            case "entropy":
                value = operator_entropy(weight)
            case "decay":
                value = spectral_decay(weight)
            case _:
                value = _error(weight, structure)
    return round(value, DIGITS)


class Ranking:
    """Ranks layers, and finds the value of each under a key once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, Any, str], float] = {}

    def top(self, wanted: program.Top, layers: Sequence[LayerFacts]) -> frozenset[str]:
        """Names of the layers with most or least of a key, the earlier ones where values are equal.

        Raises
        ------
        RefusedError
            Some of the layers have no value under the key.
        """
        without = []
        for layer in layers:
            try:
                self.value(layer, wanted.key, wanted.structure)
            except NoValueError as reason:
                without.append(f"`{printable(layer.name)}` has no {wanted.key}: {reason}")
        if without:
            more = len(without) - 1
            others = f" ({more:,} more of the set {'has' if more == 1 else 'have'} none)" if more else ""
            way_out = "narrow the set, as in `(SET and (MatMul or Gemm))`"
            if wanted.structure and all(map(has_one_matrix, layers)):
                way_out = f"narrow the set, or give `{wanted.structure.name}` options that fit all of it"
            raise RefusedError(without[0] + others, wanted.base.span, way_out)
        sign = 1 if wanted.least else -1
        ranked = sorted(layers, key=lambda layer: sign * self.value(layer, wanted.key, wanted.structure))
        return frozenset(layer.name for layer in ranked[: wanted.count])

    def value(self, layer: LayerFacts, key: str, structure: Any = None) -> float:
        """What a layer is worth under a key.

        Raises
        ------
        NoValueError
            The key says nothing of this layer.
        """
        asked = (key, structure, layer.name)
        if asked not in self._known:
            self._known[asked] = _measure(layer, key, structure)
        return self._known[asked]
