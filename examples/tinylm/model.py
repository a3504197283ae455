"""A small LLaMA-style language model."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Config:
    """Sizes of the model."""

    vocab: int = 1024
    dim: int = 128
    layers: int = 6
    heads: int = 4
    hidden: int = 384
    context: int = 256  # the rotary table and the causal mask reach so far; training may use less
    dropout: float = 0.0


class RMSNorm(nn.Module):
    """Root-mean-square normalisation with a learned gain."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Scale each vector to unit mean square, then by the gain."""
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * self.weight


def rotary_table(context: int, width: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines of RoPE, each of shape (context, width)."""
    frequency = 10000.0 ** (-torch.arange(0, width, 2) / width)
    angle = torch.outer(torch.arange(context).float(), frequency).repeat(1, 2)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the pairs (i, i + width / 2) of queries or keys by their position's angles."""
    left, right = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-right, left), dim=-1) * sin


class Attention(nn.Module):
    """Causal multi-head attention with rotary positions."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads, self.width = config.heads, config.dim // config.heads
        self.q_proj = nn.Linear(config.dim, config.dim, bias=False)
        self.k_proj = nn.Linear(config.dim, config.dim, bias=False)
        self.v_proj = nn.Linear(config.dim, config.dim, bias=False)
        self.o_proj = nn.Linear(config.dim, config.dim, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        """Mix each position with those before it."""
        batch, seq, dim = x.shape
        shape = (batch, seq, self.heads, self.width)
        q = rotate(self.q_proj(x).view(shape).transpose(1, 2), cos, sin)
        k = rotate(self.k_proj(x).view(shape).transpose(1, 2), cos, sin)
        v = self.v_proj(x).view(shape).transpose(1, 2)
        # Explicit rather than scaled_dot_product_attention: it exports to a handful of standard ops.
        scores = (q @ k.transpose(2, 3) * self.width**-0.5).masked_fill(mask, float("-inf"))
        mixed = scores.softmax(-1) @ v
        return self.o_proj(mixed.transpose(1, 2).reshape(batch, seq, dim))


class MLP(nn.Module):
    """SwiGLU feed-forward network."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.dim, config.hidden, bias=False)
        self.up_proj = nn.Linear(config.dim, config.hidden, bias=False)
        self.down_proj = nn.Linear(config.hidden, config.dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Gate, widen and narrow again."""
        return self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """One transformer layer, normalised before each half."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attn_norm, self.attn = RMSNorm(config.dim), Attention(config)
        self.mlp_norm, self.mlp = RMSNorm(config.dim), MLP(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        """Add attention, then the feed-forward network."""
        x = x + self.dropout(self.attn(self.attn_norm(x), cos, sin, mask))
        return x + self.dropout(self.mlp(self.mlp_norm(x)))


class TinyLM(nn.Module):
    """Tokens in, logits of the next token out."""

    cos: Tensor
    sin: Tensor
    mask: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.embed = nn.Embedding(config.vocab, config.dim)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.dim)
        self.head = nn.Linear(config.dim, config.vocab, bias=False)
        cos, sin = rotary_table(config.context, config.dim // config.heads)
        future = torch.ones(config.context, config.context, dtype=torch.bool).triu(1)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.register_buffer("mask", future, persistent=False)
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                # What is added to the residual stream starts smaller, for there are many summands.
                last = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(weight, std=0.02 if not last else 0.02 / (2 * config.layers) ** 0.5)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Map tokens (batch, seq) to logits (batch, seq, vocab)."""
        seq = input_ids.shape[1]
        cos, sin, mask = self.cos[:seq], self.sin[:seq], self.mask[:seq, :seq]
        x = self.embed(input_ids)
        for layer in self.layers:
            x = layer(x, cos, sin, mask)
        return self.head(self.norm(x))
