"""A model in plain torch: ``model = load()``, then call it.

Inputs
------
hidden : float (batch, sequence, 8)

Outputs
-------
add_1 : float (batch, sequence, 8)

364 parameters in 9 tensors.
"""

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
        self.layers_0_mlp_up_weight = nn.Parameter(torch.empty(8, 12))
        self.layers_0_mlp_down_weight = nn.Parameter(torch.empty(12, 8))
        self.layers_1_norm_weight = nn.Parameter(torch.empty(8))
        self.layers_1_norm_bias = nn.Parameter(torch.empty(8))
        self.layers_1_mlp_up_core_0 = nn.Parameter(torch.empty(2, 3, 2))
        self.layers_1_mlp_up_core_1 = nn.Parameter(torch.empty(2, 4, 4))
        self.layers_1_mlp_down_weight = nn.Parameter(torch.empty(12, 8))

    def forward(self, hidden: Tensor) -> Tensor:
        layers_0 = self._layers_0(hidden)
        layers = self._layers_1(layers_0)
        return layers

    def _layers_0(self, hidden: Tensor) -> Tensor:
        # norm
        norm = F.layer_norm(hidden, (8,), self.layers_0_norm_weight, self.layers_0_norm_bias, eps=1e-05)

        # mlp
        up = norm @ self.layers_0_mlp_up_weight
        mlp = F.gelu(up) @ self.layers_0_mlp_down_weight
        layers_0 = hidden + mlp
        return layers_0

    def _layers_1(self, layers_0: Tensor) -> Tensor:
        # norm
        norm = F.layer_norm(layers_0, (8,), self.layers_1_norm_weight, self.layers_1_norm_bias, eps=1e-05)

        # mlp
        # Mpo layers.1.mlp.up: 2x4 -> 3x4, 2 cores with bonds 2, 44 parameters
        up_0 = torch.einsum("...ab,acd->...bcd", norm.unflatten(-1, (2, 4)), self.layers_1_mlp_up_core_0)
        up = torch.einsum("...abc,cad->...bd", up_0, self.layers_1_mlp_up_core_1).flatten(-2)
        mlp = F.gelu(up) @ self.layers_1_mlp_down_weight
        layers = layers_0 + mlp
        return layers


def load(weights: str | Path | None = None, device: str | torch.device = "cpu") -> Model:
    """Model in eval mode with its weights, by default those in model.safetensors beside this file."""
    path = Path(__file__).with_name("model.safetensors") if weights is None else weights
    model = Model()
    model.load_state_dict(load_file(path, device=str(device)), assign=True)
    return model.to(device).eval()
