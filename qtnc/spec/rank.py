"""What `top N of SET by KEY` ranks layers by."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from qtnc.errors import printable
from qtnc.spec import program
from qtnc.spec.facts import LayerFacts, axes, is_product
from qtnc.spec.values import RefusedError
from qtnc.tensor.entropy import operator_entropy
from qtnc.tensor.threads import one_thread

DIGITS = 9
"""Of an entropy: what differs by rounding alone is a tie."""


class NoValueError(ValueError):
    """A layer has no value under a key; the message says why."""


def _entropy(layer: LayerFacts) -> float:
    """Operator entanglement entropy of a weight product, in bits."""
    if not is_product(layer) or 0 in layer.shape:
        raise NoValueError(f"a {layer.op} of {axes(layer.shape)} is no product x . W with a matrix W")
    weight = layer.matrix()
    if not np.isfinite(weight).all():
        raise NoValueError("its weight holds NaN or infinity")
    with one_thread():
        return round(operator_entropy(weight), DIGITS)


KEYS: Mapping[str, Callable[[LayerFacts], float]] = MappingProxyType(
    {
        "elements": lambda layer: layer.elements,
        "bytes": lambda layer: layer.bytes,
        "entropy": _entropy,
    }
)
"""What a layer is worth under each key."""


class Ranking:
    """Ranks layers, and finds the value of each under a key once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], float] = {}

    def top(self, wanted: program.Top, layers: Sequence[LayerFacts]) -> frozenset[str]:
        """Names of the layers with most of a key, the earlier ones where values are equal.

        Raises
        ------
        RefusedError
            Some of the layers have no value under the key.
        """
        without = []
        for layer in layers:
            try:
                self.value(layer, wanted.key)
            except NoValueError as reason:
                without.append(f"`{printable(layer.name)}` has no {wanted.key}: {reason}")
        if without:
            more = len(without) - 1
            others = f" ({more:,} more of the set {'has' if more == 1 else 'have'} none)" if more else ""
            way_out = "narrow the set, as in `(SET and (MatMul or Gemm))`"
            raise RefusedError(without[0] + others, wanted.base.span, way_out)
        ranked = sorted(layers, key=lambda layer: -self.value(layer, wanted.key))
        return frozenset(layer.name for layer in ranked[: wanted.count])

    def value(self, layer: LayerFacts, key: str) -> float:
        """What a layer is worth under a key.

        Raises
        ------
        NoValueError
            The key says nothing of this layer.
        """
        if (key, layer.name) not in self._known:
            self._known[key, layer.name] = KEYS[key](layer)
        return self._known[key, layer.name]
