"""A decoder whose feed-forward layers are mixtures of experts, all held in one weight of three axes."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Style = Literal["bmm", "broadcast", "einsum", "indexed", "unbound"]

VOCABULARY, WIDTH, HIDDEN, EXPERTS, CHOSEN = 61, 24, 40, 4, 2


class Experts(nn.Module):
    """Every expert on every token, weighed by the router; weights of tokens that it did not choose are 0."""

    def __init__(self, style: Style) -> None:
        super().__init__()
        self.style = style
        self.router = nn.Linear(WIDTH, EXPERTS, bias=False)
        self.up = nn.Parameter(torch.randn(EXPERTS, WIDTH, HIDDEN) / WIDTH**0.5)
        self.up_bias = nn.Parameter(torch.randn(EXPERTS, HIDDEN) / 10)
        self.down = nn.Parameter(torch.randn(EXPERTS, HIDDEN, WIDTH) / HIDDEN**0.5)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.reshape(-1, WIDTH)
        chosen = torch.topk(self.router(tokens), CHOSEN, dim=-1)
        weights = torch.zeros_like(self.router(tokens)).scatter(1, chosen.indices, torch.softmax(chosen.values, -1))
        return self._weighed(tokens, weights).reshape(x.shape)

    def _weighed(self, tokens: Tensor, weights: Tensor) -> Tensor:
        """Sum over experts for tokens (t, WIDTH) by weights (t, EXPERTS)."""
        if self.style == "einsum":
            hidden = functional.gelu(torch.einsum("td,edf->tef", tokens, self.up) + self.up_bias)
            return torch.einsum("te,ted->td", weights, torch.einsum("tef,efd->ted", hidden, self.down))
        if self.style in ("indexed", "unbound"):
            pairs = [(self.up[e], self.down[e]) for e in range(EXPERTS)]
            if self.style == "unbound":
                pairs = list(zip(self.up.unbind(0), self.down.unbind(0), strict=True))
            experts = enumerate(pairs)
            made = [
                weights[:, e, None] * (functional.gelu(tokens @ up + self.up_bias[e]) @ down)
                for e, (up, down) in experts
            ]
            return torch.stack(made).sum(0)
        if self.style == "bmm":
            tokens = tokens.repeat(EXPERTS, 1).view(EXPERTS, -1, WIDTH)
            hidden = functional.gelu(torch.bmm(tokens, self.up) + self.up_bias[:, None])
            return (torch.bmm(hidden, self.down) * weights.T[..., None]).sum(0)
        hidden = functional.gelu(tokens @ self.up + self.up_bias[:, None])
        return (hidden @ self.down * weights.T[..., None]).sum(0)


class Block(nn.Module):
    """One head of causal attention, then experts."""

    def __init__(self, style: Style) -> None:
        super().__init__()
        self.norm, self.norm_experts = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.experts = Experts(style)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x)).chunk(3, -1)
        later = torch.ones(x.shape[1], x.shape[1]).triu(1) * -1e9
        x = x + self.out(torch.softmax(q @ k.transpose(1, 2) / WIDTH**0.5 + later, -1) @ v)
        return x + self.experts(self.norm_experts(x))


class Decoder(nn.Module):
    """ids (batch, seq) to logits (batch, seq, VOCABULARY)."""

    def __init__(self, style: Style) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.layers = nn.ModuleList(Block(style) for _ in range(2))
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        for layer in self.layers:
            x = layer(x)
        return self.head(x)
