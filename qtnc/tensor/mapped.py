"""Large arrays in files without names: the system may write them out, and nothing of them is left when they go."""

import mmap
from math import prod
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

MAPPED = 1 << 23
"""Bytes from which an array is mapped from a file."""


def zeros(shape: tuple[int, ...], dtype: DTypeLike = np.float64) -> NDArray[Any]:
    """Zeros of a shape and element type; large ones in a file without a name."""
    element = np.dtype(dtype)
    needed = element.itemsize * prod(shape)
    if needed < MAPPED or element.hasobject:
        return np.zeros(shape, element)
    with TemporaryFile() as file:
        file.truncate(needed)
        mapped = mmap.mmap(file.fileno(), needed)
    return np.frombuffer(mapped, element).reshape(shape)


def set_aside(array: NDArray[Any]) -> NDArray[Any]:
    """The array in row-major order; a large one moved into a file without a name."""
    if array.nbytes < MAPPED or array.dtype.hasobject:
        return np.asarray(array, order="C")
    moved = zeros(array.shape, array.dtype)
    np.copyto(moved, array)
    return moved
