"""A model in plain torch: ``model = load()``, then call it.

Inputs
------
hidden : float (batch, sequence, 8)

Outputs
-------
add_1 : float (batch, sequence, 8)

396 parameters in 19 tensors.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn


class Model(nn.Module):
    """The network; its attributes are the entries of the state_dict."""

    def __init__(self) -> None:
        super().__init__()
        self.layers_0_norm_weight = nn.Parameter(torch.empty(8))
        self.layers_0_norm_bias = nn.Parameter(torch.empty(8))
        self.layers_0_mlp_up_input_angles = nn.Parameter(torch.empty(2, 6))
        self.layers_0_mlp_up_core_0 = nn.Parameter(torch.empty(4, 4, 2))
        self.layers_0_mlp_up_core_1 = nn.Parameter(torch.empty(2, 2, 4))
        self.layers_0_mlp_up_output_angles = nn.Parameter(torch.empty(4, 6))
        self.layers_0_mlp_down_weight = nn.Parameter(torch.empty(8, 12))
        self.layers_0_mlp_down_bias = nn.Parameter(torch.empty(8))
        self.layers_1_norm_weight = nn.Parameter(torch.empty(8))
        self.layers_1_norm_bias = nn.Parameter(torch.empty(8))
        self.layers_1_mlp_up_input_angles = nn.Parameter(torch.empty(2, 6))
        self.layers_1_mlp_up_core_0 = nn.Parameter(torch.empty(4, 4, 2))
        self.layers_1_mlp_up_core_1 = nn.Parameter(torch.empty(2, 2, 4))
        self.layers_1_mlp_up_output_angles = nn.Parameter(torch.empty(4, 6))
        self.layers_1_mlp_down_input_angles = nn.Parameter(torch.empty(4, 6))
        self.layers_1_mlp_down_core_0 = nn.Parameter(torch.empty(4, 4, 2))
        self.layers_1_mlp_down_core_1 = nn.Parameter(torch.empty(2, 4, 2))
        self.layers_1_mlp_down_output_angles = nn.Parameter(torch.empty(2, 6))
        self.layers_1_mlp_down_bias = nn.Parameter(torch.empty(8))

    def forward(self, hidden: Tensor) -> Tensor:
        layers_0 = self._layers_0(hidden)
        layers = self._layers_1(layers_0)
        return layers

    def _layers_0(self, hidden: Tensor) -> Tensor:
        # norm
        norm = F.layer_norm(hidden, (8,), self.layers_0_norm_weight, self.layers_0_norm_bias, eps=1e-05)

        # mlp
        # Circuit layers.0.mlp.up.input: 8 -> 8, 2 gates in 2 layers on 3 qubits, 12 angles
        up_input = rotate(norm, self.layers_0_mlp_up_input_angles, _PAIRS_0)
        # MPO layers.0.mlp.up: 4x2 -> 4x4, 2 cores with bonds 2, 48 parameters
        up_0 = torch.einsum("...ab,acd->...bcd", up_input.unflatten(-1, (4, 2)), self.layers_0_mlp_up_core_0)
        up_product = torch.einsum("...abc,cad->...bd", up_0, self.layers_0_mlp_up_core_1).flatten(-2)
        # Circuit layers.0.mlp.up.output: 16 -> 12, 4 gates in 2 layers on 4 qubits, 24 angles
        up = rotate(up_product, self.layers_0_mlp_up_output_angles, _PAIRS_1)[..., :12]
        mlp = F.linear(F.gelu(up), self.layers_0_mlp_down_weight, self.layers_0_mlp_down_bias)
        layers_0 = hidden + mlp
        return layers_0

    def _layers_1(self, layers_0: Tensor) -> Tensor:
        # norm
        norm = F.layer_norm(layers_0, (8,), self.layers_1_norm_weight, self.layers_1_norm_bias, eps=1e-05)

        # mlp
        # Circuit layers.1.mlp.up.input: 8 -> 8, 2 gates in 2 layers on 3 qubits, 12 angles
        up_input = rotate(norm, self.layers_1_mlp_up_input_angles, _PAIRS_0)
        # MPO layers.1.mlp.up: 4x2 -> 4x4, 2 cores with bonds 2, 48 parameters
        up_0 = torch.einsum("...ab,acd->...bcd", up_input.unflatten(-1, (4, 2)), self.layers_1_mlp_up_core_0)
        up_product = torch.einsum("...abc,cad->...bd", up_0, self.layers_1_mlp_up_core_1).flatten(-2)
        # Circuit layers.1.mlp.up.output: 16 -> 12, 4 gates in 2 layers on 4 qubits, 24 angles
        up = rotate(up_product, self.layers_1_mlp_up_output_angles, _PAIRS_1)[..., :12]
        gelu = F.gelu(up)
        # Circuit layers.1.mlp.down.input: 12 -> 16, 4 gates in 2 layers on 4 qubits, 24 angles
        down_input = rotate(F.pad(gelu, (0, 4)), self.layers_1_mlp_down_input_angles, _PAIRS_2)
        # MPO layers.1.mlp.down: 4x4 -> 4x2, 2 cores with bonds 2, 48 parameters
        down_0 = torch.einsum(
            "...ab,acd->...bcd",
            down_input.unflatten(-1, (4, 4)),
            self.layers_1_mlp_down_core_0,
        )
        down_product = torch.einsum("...abc,cad->...bd", down_0, self.layers_1_mlp_down_core_1).flatten(-2)
        # Circuit layers.1.mlp.down.output: 8 -> 8, 2 gates in 2 layers on 3 qubits, 12 angles
        down_output = rotate(down_product, self.layers_1_mlp_down_output_angles, _PAIRS_3)
        mlp = down_output + self.layers_1_mlp_down_bias
        layers = layers_0 + mlp
        return layers


# Qubits that gates act on; gates in one line act at the same time.
_PAIRS_0 = (
    (1, 2),
    (0, 2),
)
_PAIRS_1 = (
    (0, 2), (1, 3),
    (0, 3), (1, 2),
)
_PAIRS_2 = (
    (0, 3), (1, 2),
    (0, 2), (1, 3),
)
_PAIRS_3 = (
    (0, 2),
    (1, 2),
)


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


def load(weights: str | Path | None = None, device: str | torch.device = "cpu") -> Model:
    """Model in eval mode with its weights, by default those in model.safetensors beside this file."""
    path = Path(__file__).with_name("model.safetensors") if weights is None else weights
    model = Model()
    model.load_state_dict(load_file(path, device=str(device)), assign=True)
    return model.to(device).eval()
