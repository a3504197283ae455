"""A tiny decoder of the LLaMA kind: RMSNorm, rotary positions, grouped queries, SwiGLU, causal mask."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Config:
    vocabulary: int = 61
    width: int = 32
    hidden: int = 48
    heads: int = 4
    groups: int = 2
    layers: int = 2


class RMSNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(1 + 0.1 * torch.randn(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * self.weight


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    left, right = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-right, left], dim=-1) * sin


class Attention(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.size = config.width // config.heads
        self.repeats = config.heads // config.groups
        self.q_proj = nn.Linear(config.width, config.width, bias=False)
        self.k_proj = nn.Linear(config.width, config.groups * self.size, bias=False)
        self.v_proj = nn.Linear(config.width, config.groups * self.size, bias=False)
        self.o_proj = nn.Linear(config.width, config.width, bias=False)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor, past: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        batch, length, width = x.shape
        q = self.q_proj(x).view(batch, length, -1, self.size).transpose(1, 2)
        k = self.k_proj(x).view(batch, length, -1, self.size).transpose(1, 2)
        v = self.v_proj(x).view(batch, length, -1, self.size).transpose(1, 2)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if past is not None:
            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
        present, total = (k, v), k.shape[2]
        k = k[:, :, None].expand(-1, -1, self.repeats, -1, -1).reshape(batch, -1, total, self.size)
        v = v[:, :, None].expand(-1, -1, self.repeats, -1, -1).reshape(batch, -1, total, self.size)
        scores = q @ k.transpose(-1, -2) / self.size**0.5
        scores = scores.masked_fill(~mask, torch.finfo(x.dtype).min)
        mixed = torch.softmax(scores, dim=-1) @ v
        return self.o_proj(mixed.transpose(1, 2).reshape(batch, length, width)), present


class Mlp(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.gate = nn.Linear(config.width, config.hidden, bias=False)
        self.up = nn.Linear(config.width, config.hidden, bias=False)
        self.down = nn.Linear(config.hidden, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(nn.functional.silu(self.gate(x)) * self.up(x))


class Block(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attn_norm = RMSNorm(config.width)
        self.attn = Attention(config)
        self.mlp_norm = RMSNorm(config.width)
        self.mlp = Mlp(config)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor, past: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        mixed, present = self.attn(self.attn_norm(x), cos, sin, mask, past)
        x = x + mixed
        return x + self.mlp(self.mlp_norm(x)), present


class Llama(nn.Module):
    """Token ids (batch, sequence) to logits (batch, sequence, vocabulary)."""

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        config = config or Config()
        size = config.width // config.heads
        self.embed = nn.Embedding(config.vocabulary, config.width)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.width)
        self.head = nn.Linear(config.width, config.vocabulary, bias=False)
        self.register_buffer("frequencies", 10000.0 ** (-torch.arange(0, size, 2).float() / size))

    def forward(self, ids: Tensor) -> Tensor:
        positions = torch.arange(ids.shape[1], device=ids.device)
        angles = positions[:, None].to(self.frequencies.dtype) * self.frequencies
        angles = torch.cat([angles, angles], dim=-1)
        mask = positions[None, :] <= positions[:, None]
        x = self.embed(ids)
        for layer in self.layers:
            x, _ = layer(x, angles.cos(), angles.sin(), mask)
        return self.head(self.norm(x))


class Decoder(Llama):
    """Ids, a mask over past and present, and keys and values of the past, to logits and all keys and values.

    The mask is (batch, past + sequence); keys and values are (batch, groups, past, size), those of a layer in turn.
    Without them nothing is past: that is the form for the first call.
    """

    def forward(
        self,
        ids: Tensor,
        attention_mask: Tensor,
        key_0: Tensor | None = None,  # named one by one, since torch.export knows no dynamic shapes of *past
        value_0: Tensor | None = None,
        key_1: Tensor | None = None,
        value_1: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        before = 0 if key_0 is None else key_0.shape[2]
        positions = before + torch.arange(ids.shape[1], device=ids.device)
        angles = positions[:, None].to(self.frequencies.dtype) * self.frequencies
        angles = torch.cat([angles, angles], dim=-1)
        causal = torch.arange(before + ids.shape[1], device=ids.device)[None, :] <= positions[:, None]
        mask = causal & attention_mask[:, None, None, :].bool()
        x, presents = self.embed(ids), []
        for layer, (key, value) in zip(self.layers, ((key_0, value_0), (key_1, value_1)), strict=True):
            past = None if key is None or value is None else (key, value)
            x, present = layer(x, angles.cos(), angles.sin(), mask, past)
            presents += present
        return self.head(self.norm(x)), *presents
