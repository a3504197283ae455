"""Functions of rules: a closed set, without side effects, over what was captured and computed.

The table says of each what it takes and gives; the checker of specs, the language server and the reference read it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from qtnc.rules.measures import MEASURES


class Sort(Enum):
    """What a term is. A number may stand where a constant may, and a constant where a value may."""

    VALUE = "a value of the graph"
    CONST = "a constant"
    NUMBER = "a number"
    LIST = "a list of numbers"
    TEXT = "a text"
    DTYPE = "an element type"
    TRUTH = "a condition"


@dataclass(frozen=True)
class Function:
    """One function.

    Attributes
    ----------
    parameters : sorts of its arguments, in order; the last ``optional`` of them may be left out.
    rest : sort of any further arguments, if there may be some.
    result : sort of what it gives.
    meaning : a line for readers.
    compute : from what its arguments are to what it gives: arrays, numbers, tuples; of a VALUE what ``measures`` say.
    """

    parameters: tuple[Sort, ...]
    result: Sort
    meaning: str
    compute: Callable[..., Any]
    optional: int = 0
    rest: Sort | None = None


V, C, N, L, T, D = Sort.VALUE, Sort.CONST, Sort.NUMBER, Sort.LIST, Sort.TRUTH, Sort.DTYPE


def _measures() -> dict[str, Function]:
    parameters = {1: (V,), 2: (V, V)}
    found = {
        "rank": (1, N, "how many axes a value has"),
        "shape": (1, L, "sizes of all axes of a value, which must be known"),
        "size": (1, N, "how many elements a value has"),
        "dtype": (1, D, "element type of a value, such as `float32`"),
        "uses": (1, N, "how many inputs of nodes read a value, and outputs of the graph"),
        "is_output": (1, T, "whether the graph hands a value out"),
        "is_const": (1, T, "whether a value is known at compile time"),
        "missing": (1, T, "whether an optional input was not there, or a result is left out"),
        "name": (1, Sort.TEXT, "name of the layer, or of the node, that makes a value"),
        "op": (1, Sort.TEXT, "operator that makes a value"),
        "same_shape": (2, T, "whether two values surely have one shape"),
        "broadcasts": (
            2,
            T,
            "whether the first, spread over the second, surely leaves the shape of the second as it is",
        ),
    }
    return {
        name: Function(parameters[count], result, meaning, MEASURES[name])
        for name, (count, result, meaning) in found.items()
    }


def _axes(axis: int | None) -> int | None:
    return None if axis is None else int(axis)


FUNCTIONS: Final[Mapping[str, Function]] = MappingProxyType(
    {
        **_measures(),
        "dim": Function((V, N), N, "size of one axis of a value, counted from the end where negative", MEASURES["dim"]),
        "all": Function((C,), T, "whether a condition holds for every element", lambda a: bool(np.all(a))),
        "any": Function((C,), T, "whether a condition holds for some element", lambda a: bool(np.any(a))),
        "close": Function((C, C), T, "whether constants are equal but for rounding", lambda a, b: _close(a, b)),
        "min": Function((C,), N, "smallest element", lambda a: np.min(a).item()),
        "max": Function((C,), N, "largest element", lambda a: np.max(a).item()),
        "sum": Function((C, N), C, "sum of all elements, or along an axis", lambda a, k=None: np.sum(a, _axes(k)), 1),
        "mean": Function(
            (C, N), C, "mean of all elements, or along an axis", lambda a, k=None: np.mean(a, _axes(k)), 1
        ),
        "norm": Function(
            (C,), N, "root of the sum of squares", lambda a: float(np.linalg.norm(np.asarray(a, np.float64)))
        ),
        "abs": Function((C,), C, "absolute value", np.abs),
        "sqrt": Function((C,), C, "square root", np.sqrt),
        "exp": Function((C,), C, "e to the power", np.exp),
        "log": Function((C,), C, "natural logarithm", np.log),
        "floor": Function((C,), C, "largest whole number from there down", np.floor),
        "ceil": Function((C,), C, "smallest whole number from there up", np.ceil),
        "transpose": Function(
            (C, L), C, "axes in reverse, or in an order", lambda a, perm=None: np.transpose(a, perm), 1
        ),
        "reshape": Function((C, L), C, "the same elements in another shape", lambda a, shape: np.reshape(a, shape)),
        "concat": Function(
            (N, C), C, "constants behind one another along an axis", lambda k, *a: np.concatenate(a, int(k)), rest=C
        ),
        "slice": Function(
            (C, N, N, N), C, "along an axis from one place up to another", lambda a, k, i, j: _slice(a, k, i, j)
        ),
        "cast": Function((C, D), C, "in another element type", lambda a, dtype: np.asarray(a).astype(dtype)),
        "full": Function((L, N), C, "a constant of a shape, one number everywhere", lambda shape, a: np.full(shape, a)),
        "eye": Function((N,), C, "an identity matrix", lambda n: np.eye(int(n), dtype=np.float32)),
        "len": Function((L,), N, "how many there are in a list", len),
        "item": Function(
            (L, N), N, "one of a list, counted from 0, from the end where negative", lambda a, k: a[int(k)]
        ),
    }
)


def _close(a: Any, b: Any) -> bool:
    left, right = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return left.shape == right.shape and bool(np.allclose(left, right, rtol=1e-6, atol=1e-12))


def _slice(array: Any, axis: int, start: int, end: int) -> Any:
    index = [slice(None)] * np.ndim(array)
    index[int(axis)] = slice(int(start), int(end))
    return np.asarray(array)[tuple(index)]
