"""A decoder with a cache of keys and values, as exporters write it: one file with a past, or a pair of files."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor


def write(llama: ModuleType, export: Callable[..., Path], exporter: str, path: Path, *, past: bool) -> Path:
    """Export the decoder; ``past`` says whether it takes keys and values, under the names that hubs use."""
    torch.manual_seed(0)
    config = llama.Config()
    model = llama.Decoder(config)
    shape = (2, config.groups, 3, config.width // config.heads)
    names = [f"{k}.{part}" for k in range(config.layers) for part in ("key", "value")]
    inputs: dict[str, Tensor] = {"input_ids": torch.randint(0, config.vocabulary, (2, 5))}
    inputs["attention_mask"] = torch.ones(2, 5 + 3 * past, dtype=torch.int64)
    inputs |= {f"past_key_values.{name}": torch.randn(shape) for name in names} if past else {}
    total = "total_sequence_length" if past else "sequence_length"
    axes = {"input_ids": {0: "batch_size", 1: "sequence_length"}, "attention_mask": {0: "batch_size", 1: total}}
    axes |= {name: {0: "batch_size", 2: "past_sequence_length"} for name in inputs if name.startswith("past")}
    outputs = ["logits", *(f"present.{name}" for name in names)]
    given = axes if exporter == "dynamo" else axes | {"logits": axes["input_ids"]}
    if exporter == "legacy":
        given |= {name: {0: "batch_size", 2: total} for name in outputs[1:]}
    return export(model, inputs, given, exporter, path, None, outputs)
