"""What the search for circuits lowers, and its gradient: how far the turned matrix is from the inner structure.

This is the one file of the numerics that loads torch: for its derivatives, and for float32.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from qtnc.quantum.gates import ANGLES, KERNEL, Angles
from qtnc.quantum.layout import Layers

Project = Callable[[NDArray[Any]], NDArray[Any]]
"""Nearest matrix of the inner structure, in the dtype it is given."""


class Objective:
    """``|T - P(T)|^2`` of ``T = C_in W C_out`` for a weight (2^p, 2^q) of norm 1."""

    def __init__(self, weight: NDArray[np.float64], project: Project) -> None:
        self.weight, self.project = weight, project
        self.used = int(np.flatnonzero(weight.any(axis=0))[-1]) + 1
        """Columns before those that are padding, which need not be turned."""

    def distance(
        self, angles: Angles, sides: tuple[Layers, Layers], dtype: Literal["float32", "float64"]
    ) -> tuple[float, NDArray[np.float64]]:
        """Squared distance and its gradient (gates * 6,), on one thread; angles as the layers list their pairs."""
        kind = torch.float32 if dtype == "float32" else torch.float64
        weight, rows = torch.from_numpy(self.weight).to(kind), sum(map(len, sides[0]))
        with _one_thread():
            variable = torch.tensor(angles, dtype=kind, requires_grad=True)
            gates = _so4(variable)
            turned = _act(weight[:, : self.used].contiguous(), gates[:rows], sides[0])
            turned = functional.pad(turned, (0, weight.shape[1] - self.used))
            turned = _act(turned.T, gates[rows:].transpose(1, 2), sides[1]).T
            left = _Distance.apply(turned.contiguous(), self.project)  # type: ignore[no-untyped-call]
            left.backward()
        assert variable.grad is not None  # noqa: S101 - made by backward
        return float(left.detach()), variable.grad.double().numpy().ravel()


def _so4(angles: torch.Tensor) -> torch.Tensor:
    """Gates (gates, 4, 4), as :func:`qtnc.quantum.gates.so4` builds them."""
    halves = torch.stack([torch.cos(angles / 2), torch.sin(angles / 2)], dim=-1)
    products = halves[:, 0]
    for k in range(1, ANGLES):
        products = (products[:, :, None] * halves[:, k, None, :]).flatten(1)
    return (products @ torch.from_numpy(KERNEL).to(angles.dtype)).reshape(-1, 4, 4)


def _act(matrix: torch.Tensor, gates: torch.Tensor, layers: Layers) -> torch.Tensor:
    """Apply layers to the rows of a matrix (2^n, C), the outermost first; gates as the layers list their pairs.

    The axes are moved once a layer, and two gates at a time act as one 16x16 matrix.
    """
    qubits, columns = int(np.log2(len(matrix))), matrix.shape[1]
    bounds = [0, *np.cumsum([len(layer) for layer in layers])]
    order = list(range(qubits))
    for layer, (start, stop) in reversed(list(zip(layers, pairwise(bounds), strict=True))):
        first = [qubit for pair in layer for qubit in pair]
        moved = first + [qubit for qubit in order if qubit not in first]
        state = _reorder(matrix, order, moved, columns).reshape(-1)
        done = 1
        for block in _blocks(gates[start:stop]):
            state = torch.matmul(block, state.reshape(done, len(block), -1))
            done *= len(block)
        matrix, order = state.reshape(-1, columns), moved
    return _reorder(matrix, order, list(range(qubits)), columns)


def _blocks(gates: torch.Tensor) -> list[torch.Tensor]:
    return [torch.kron(*gates[k : k + 2]) if k + 1 < len(gates) else gates[k] for k in range(0, len(gates), 2)]


def _reorder(matrix: torch.Tensor, order: Sequence[int], wanted: Sequence[int], columns: int) -> torch.Tensor:
    if list(order) == list(wanted):
        return matrix
    axes = [order.index(qubit) for qubit in wanted]
    return matrix.reshape(*(2,) * len(order), columns).permute(*axes, len(order)).reshape(-1, columns)


class _Distance(torch.autograd.Function):
    """``|T - P(T)|^2`` for T of norm 1, whose gradient on the sphere is that of ``-|P(T)|^2``."""

    @staticmethod
    def forward(ctx: Any, turned: torch.Tensor, project: Project) -> torch.Tensor:
        """Project once; the projection is the gradient."""
        nearest = torch.from_numpy(project(turned.detach().numpy()))
        ctx.save_for_backward(nearest)
        return torch.sum((turned.detach() - nearest) ** 2)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Envelope theorem: the projection itself is not differentiated."""
        (nearest,) = ctx.saved_tensors
        return -2 * grads[0] * nearest, None


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
