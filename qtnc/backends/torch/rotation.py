"""Circuits in torch: the code that models with circuits carry, as it stands here from the first function on."""

from collections.abc import Sequence

import torch
from torch import Tensor


def so4(angles: Tensor) -> Tensor:
    """Gates (gates, 4, 4), orthogonal and of determinant 1, from six angles each.

    In the magic basis such a gate is Rx(a) Ry(b) Rz(c) on each of its two qubits. These are two unit quaternions,
    and the gate multiplies by one from the left and by the other from the right.
    """
    halves = angles.reshape(-1, 2, 3) / 2
    (ca, cb, cc), (sa, sb, sc) = torch.cos(halves).unbind(-1), torch.sin(halves).unbind(-1)
    w, p = (ca * cb * cc - sa * sb * sc).unbind(-1)
    x, q = (sa * cb * cc + ca * sb * sc).unbind(-1)
    y, r = (ca * sb * cc - sa * cb * sc).unbind(-1)
    z, s = (ca * cb * sc + sa * sb * cc).unbind(-1)
    left = torch.stack([w, z, x, y, -z, w, -y, x, -x, y, w, -z, -y, -x, z, w], dim=-1)
    right = torch.stack([p, s, q, -r, -s, p, -r, -q, -q, r, p, s, r, q, -s, p], dim=-1)
    return left.reshape(-1, 4, 4) @ right.reshape(-1, 4, 4)


def rotate(x: Tensor, angles: Tensor, pairs: Sequence[tuple[int, int]]) -> Tensor:
    """Apply gates in turn to pairs of qubits; the last axis of x holds 2^n amplitudes, qubit 0 the most significant."""
    n = x.shape[-1].bit_length() - 1
    state = x.reshape(*x.shape[:-1], *(2,) * n)
    for gate, (a, b) in zip(so4(angles), pairs, strict=True):
        state = torch.tensordot(state, gate.view(2, 2, 2, 2), dims=([a - n, b - n], [2, 3]))
        state = state.movedim((-2, -1), (a - n, b - n))
    return state.flatten(-n)
