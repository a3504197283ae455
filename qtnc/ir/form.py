"""One form of product: which axes of x, of the weight and of y are those that ``y = x . W`` multiplies."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Axes = tuple[int | None, ...]
"""Axes in another order; None is a new one of size 1."""


@dataclass(frozen=True)
class WeightForm:
    """Axes of a weight in the order stack, M, N: the last ``split`` make N, ``joined`` before them make M."""

    axes: tuple[int, ...]
    joined: int = 1
    split: int = 1

    def stack(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Sizes of the stack of a weight; none for a single matrix, however many axes of size 1 stand before it."""
        sizes = tuple(shape[axis] for axis in self.axes[: -self.joined - self.split])
        return sizes if prod(sizes) != 1 else ()

    def matrix(self, shape: Sequence[int]) -> tuple[int, int]:
        """(M, N) of each matrix of a weight."""
        return prod(self.sizes_in(shape)), prod(self.sizes_out(shape))

    def sizes_in(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Sizes whose product is M."""
        return tuple(shape[axis] for axis in self.axes[-self.joined - self.split : -self.split])

    def sizes_out(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Sizes whose product is N."""
        return tuple(shape[axis] for axis in self.axes[-self.split :])

    def matrices(self, array: NDArray[Any]) -> NDArray[Any]:
        """The weight as (S, M, N), S = 1 without a stack."""
        M, N = self.matrix(array.shape)
        return array.transpose(self.axes).reshape(-1, M, N)

    @property
    def arrangement(self) -> tuple[bool, tuple[int, ...]]:
        """Whether N is stored before M, and the order of all axes up to that."""
        first, second = self.axes[-self.joined - self.split : -self.split], self.axes[-self.split :]
        turned = first > second
        return turned, (*self.axes[: -self.joined - self.split], *(second + first if turned else first + second))


@dataclass(frozen=True)
class Form:
    """How a node reads x and writes y around numpy's product of matrices: x (..., stack, rows, M), W (stack, M, N).

    Attributes
    ----------
    x : axes of the node's x in that order, M as the ``joined`` axes of the weight.
    y : axes of the product, N split as in the weight, in the order of the node's output; those left out have size 1.
    """

    x: Axes
    y: Axes
    weight: WeightForm

    def read(self, x: NDArray[Any]) -> NDArray[Any]:
        """Values of x as the product reads them, (..., stack, rows, M)."""
        moved = x.transpose([axis for axis in self.x if axis is not None])
        new = tuple(place for place, axis in enumerate(self.x) if axis is None)
        grown = np.expand_dims(moved, new)
        lead = grown.ndim - self.weight.joined
        return grown.reshape(*grown.shape[:lead], prod(grown.shape[lead:]))
