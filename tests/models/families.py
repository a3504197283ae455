"""Three families of models as exporters write them, and what they are compared on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Feeds = dict[str, NDArray[np.int64]]

AXES = {0: "batch", 1: "sequence"}
VOCABULARY = 61


@dataclass(frozen=True)
class Exported:
    """One exported model."""

    onnx: Path

    def feeds(self, batch: int, sequence: int) -> Feeds:
        """Ids in the vocabulary, types and masks of 0 and 1; each mask begins with a 1."""
        rng = np.random.default_rng(batch * 100 + sequence)
        feeds = {}
        for value in onnx.load(self.onnx).graph.input:
            limit = 2 if "mask" in value.name or "type" in value.name else VOCABULARY
            feeds[value.name] = rng.integers(0, limit, (batch, sequence))
            if "mask" in value.name:
                feeds[value.name][:, 0] = 1
        return feeds

    def reference(self, feeds: Mapping[str, NDArray[np.generic]]) -> list[NDArray[np.generic]]:
        """Outputs by onnxruntime."""
        return list(ort.InferenceSession(self.onnx, providers=["CPUExecutionProvider"]).run(None, dict(feeds)))


def write(name: str, models: ModuleType, export: Callable[..., Path], exporter: str, path: Path) -> Exported:
    """Export the model of a family, whose module is ``models``."""
    module, inputs, outputs = _example(name, models)
    axes = dict.fromkeys([*inputs, *outputs], AXES)
    axes |= {"pooled": {0: "batch"}} if "pooled" in outputs else {}
    return Exported(export(module, inputs, axes, exporter, path, None, outputs))


def _example(name: str, models: ModuleType) -> tuple[nn.Module, dict[str, Tensor], list[str]]:
    """Model, example inputs and output names of one family."""
    torch.manual_seed(0)
    ids = torch.randint(0, VOCABULARY, (2, 5))
    if name == "bert":
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)}
        return models.Bert(), inputs, ["states", "pooled"]
    return models.Llama() if name == "llama" else models.Gpt2(), {"ids": ids}, ["logits"]
