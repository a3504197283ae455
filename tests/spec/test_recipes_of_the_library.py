"""Recipes against models as the transformers library writes them, tiny and random, by both exporters."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from qtnc.backends.options import BACKENDS
from qtnc.compiler import inspect
from qtnc.source import Source
from qtnc.spec.read import read_source
from qtnc.spec.select import select_layers
from qtnc.structures.registry import STRUCTURES

pytestmark = pytest.mark.conformance

ENCODER = {"vocab_size": 61, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
ENCODER |= {"num_attention_heads": 4, "max_position_embeddings": 64}
DECODER = {**ENCODER, "num_key_value_heads": 2, "pad_token_id": 0}
IMAGE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
IMAGE |= {"image_size": 16, "patch_size": 8, "num_labels": 5}

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "BertForSequenceClassification": ("bert", ENCODER),
    "BertForMaskedLM": ("bert", ENCODER),
    "RobertaForSequenceClassification": ("bert", ENCODER),
    "RobertaForMaskedLM": ("bert", ENCODER),
    "DistilBertForSequenceClassification": ("bert", {"vocab_size": 61, "dim": 32, "hidden_dim": 48, "n_heads": 4}),
    "MPNetForSequenceClassification": ("bert", ENCODER),
    "ElectraForSequenceClassification": ("bert", {**ENCODER, "embedding_size": 32}),
    "LlamaForCausalLM": ("llama", DECODER),
    "MistralForCausalLM": ("llama", DECODER),
    "Qwen2ForCausalLM": ("llama", DECODER),
    "Qwen3ForCausalLM": ("llama", {**DECODER, "head_dim": 8}),
    "GemmaForCausalLM": ("llama", {**DECODER, "head_dim": 8}),
    "Gemma2ForCausalLM": ("llama", {**DECODER, "head_dim": 8}),
    "Phi3ForCausalLM": ("llama", DECODER),
    "ViTForImageClassification": ("vit", IMAGE),
    "DeiTForImageClassification": ("vit", IMAGE),
    "ResNetForImageClassification": ("cnn", {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}),
    "MobileNetV2ForImageClassification": ("cnn", {"image_size": 32, "depth_multiplier": 0.25}),
}
"""Classes of the library, the recipe for each, and its sizes."""

NO_LAYER_OF_THE_MODEL = {"model.mpnet.encoder.relative_attention_bias"}
"""A table that positions look up for all blocks at once."""


class Flat(torch.nn.Module):
    """A model of the library, a tensor in and a tensor out."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        if given.is_floating_point():
            return self.model(pixel_values=given).logits
        more = {"use_cache": False} if "CausalLM" in type(self.model).__name__ else {}
        return self.model(input_ids=given, attention_mask=torch.ones_like(given), **more).logits


def parts(model: Flat) -> Iterator[tuple[str, str]]:
    """Every linear layer and table with what it is, by the classes of the modules that it stands in."""
    for path, module in model.named_modules():
        around = [type(model.get_submodule(path.rsplit(".", n)[0])).__name__ for n in range(1, path.count(".") + 1)]
        if isinstance(module, torch.nn.Embedding):
            yield path, "embedding"
        elif isinstance(module, torch.nn.Conv2d):
            yield path, "pointwise" if module.kernel_size == (1, 1) else "spatial"
        elif isinstance(module, torch.nn.Linear):
            attends, repeats = any("Attention" in name for name in around), "ModuleList" in around
            yield path, "attn" if attends else "mlp" if repeats else "head"


@pytest.mark.parametrize("exporter", ["dynamo", "legacy"])
@pytest.mark.parametrize("name", MODELS)
def test_recipe(name: str, exporter: str, export_model: Callable[..., Path], tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    recipe, sizes = MODELS[name]
    torch.manual_seed(0)
    model_class = getattr(transformers, name)
    model = Flat(model_class(model_class.config_class(**sizes, attn_implementation="eager")))
    side = sizes.get("image_size", 32)
    given = torch.randn(2, 3, side, side) if recipe in ("vit", "cnn") else torch.randint(3, 60, (2, 7))
    layers = inspect(export_model(model, {"x": given}, {"x": {0: "batch"}}, exporter, tmp_path / "model.onnx"))
    spec = read_source(Source("spec.qtn", f"qtn 1\ninclude <{recipe}>\nemit onnx\n"), STRUCTURES, BACKENDS, Path())
    selected = select_layers(spec, layers)
    everything = [layer for names in selected.values() for layer in names]
    assert sorted(everything) == sorted({layer.name for layer in layers} - NO_LAYER_OF_THE_MODEL)
    expected = dict(parts(model))
    if recipe == "cnn":  # exporters name a convolution by what is folded into it
        kinds = list(expected.values())
        assert {kind: len(names) for kind, names in selected.items()} == {kind: kinds.count(kind) for kind in selected}
        return
    found = {layer: kind for kind, names in selected.items() for layer in names}
    linear = {path: kind for path, kind in expected.items() if kind in ("attn", "mlp", "head")}
    assert {path: found.get(path) for path in linear} == linear
    tables = {path for path, kind in expected.items() if kind in ("embedding", "spatial")}
    assert set(found) - set(linear) <= tables
    assert selected["embedding"]
