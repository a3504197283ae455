"""A model in plain torch: ``model = load()``, then call it.

Inputs
------
ids : int64 (batch, sequence)

Outputs
-------
logits : float (batch, sequence, 10)
weights : float (batch, 2, sequence, sequence)

80 parameters in 1 tensor.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn


class Outputs(NamedTuple):
    """What the model returns."""

    logits: Tensor
    weights: Tensor


class Model(nn.Module):
    """The network; its attributes are the entries of the state_dict."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_weight = nn.Parameter(torch.empty(10, 8))

    @property
    def device(self) -> torch.device:
        return self.embed_weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.embed_weight.dtype

    def forward(self, ids: Tensor) -> Outputs:
        batch, sequence = ids.shape

        # embed
        embed = self.embed_weight[ids]

        # attn
        embed_2 = embed.reshape(batch, sequence, 2, 4)

        arange = torch.arange(sequence, device=self.device)

        # attn
        where = torch.where(
            arange <= arange.unsqueeze(1),
            embed_2.transpose(1, 2) @ embed_2.permute(0, 2, 3, 1),
            torch.finfo(self.dtype).min,
        )
        attn = torch.softmax(where, dim=-1)

        # head
        head = embed @ self.embed_weight.T
        return Outputs(head, attn)


def load(weights: str | Path | None = None, device: str | torch.device = "cpu") -> Model:
    """Model in eval mode with its weights, by default those in model.safetensors beside this file."""
    path = Path(__file__).with_name("model.safetensors") if weights is None else weights
    model = Model()
    model.load_state_dict(load_file(path, device=str(device)), assign=True)
    return model.to(device).eval()
