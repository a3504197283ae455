"""Recipes: what each selects of a model of its family, by either exporter and under the names of the libraries."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from qtnc.compiler import inspect
from qtnc.errors import SpecError
from qtnc.spec.include import recipes
from qtnc.spec.program import Spec
from qtnc.spec.select import select_layers

Read = Callable[[str], Spec]

BERT = {
    "attn": [f"encoder.{i}.attention.{p}" for i in (0, 1) for p in ("query", "key", "value", "output")],
    "mlp": [f"encoder.{i}.{p}" for i in (0, 1) for p in ("intermediate", "output")],
    "embedding": ["embeddings.word", "embeddings.token_type", "embeddings.position"],
    "head": ["pooler"],
}
LLAMA = {
    "attn": [f"layers.{i}.attn.{p}_proj" for i in (0, 1) for p in "qkvo"],
    "mlp": [f"layers.{i}.mlp.{p}" for i in (0, 1) for p in ("gate", "up", "down")],
    "embedding": ["embed"],
    "head": ["head"],
}
VIT = {
    "attn": [
        f"vit.encoder.layer.{i}.attention.{p}"
        for i in (0, 1)
        for p in ("attention.query", "attention.key", "attention.value", "output.dense")
    ],
    "mlp": [f"vit.encoder.layer.{i}.{p}.dense" for i in (0, 1) for p in ("intermediate", "output")],
    "embedding": ["vit.embeddings.patch_embeddings.projection"],
    "head": ["classifier"],
}


def selected(read: Read, recipe: str, layers: Sequence[Any]) -> dict[str, list[str]]:
    spec = read(f"qtn 1\ninclude <{recipe}>\nemit onnx\n")
    return {name: list(found) for name, found in select_layers(spec, layers).items()}


@pytest.fixture(scope="module")
def image_model(export_model: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A model of images by an exporter."""

    def export(models: ModuleType, name: str, exporter: str) -> Path:
        torch.manual_seed(0)
        image = torch.randn(2, 3, 16, 16)
        path = tmp_path_factory.mktemp(name) / f"{exporter}.onnx"
        return export_model(models.MODELS[name](), {"image": image}, {"image": {0: "batch"}}, exporter, path)

    return export


@pytest.mark.parametrize("exporter", ["dynamo", "legacy"])
@pytest.mark.parametrize(("recipe", "expected"), [("bert", BERT), ("llama", LLAMA)])
def test_language_models(
    recipe: str, expected: dict[str, list[str]], exporter: str, read: Read, families: Callable[[str, str], Any]
) -> None:
    layers = inspect(families(recipe, exporter).onnx)
    assert selected(read, recipe, layers) == expected
    assert sorted(chain.from_iterable(expected.values())) == sorted(layer.name for layer in layers)


@pytest.mark.parametrize("exporter", ["dynamo", "legacy"])
def test_vision_transformers(exporter: str, read: Read, vision: ModuleType, image_model: Callable[..., Path]) -> None:
    layers = inspect(image_model(vision, "vit", exporter))
    assert selected(read, "vit", layers) == VIT
    assert sorted(chain.from_iterable(VIT.values())) == sorted(layer.name for layer in layers)


@pytest.mark.parametrize("exporter", ["dynamo", "legacy"])
def test_convolutional_networks(
    exporter: str, read: Read, vision: ModuleType, image_model: Callable[..., Path]
) -> None:
    """Exporters name convolutions by what is folded into them: the shapes that they have in torch tell them apart."""
    layers = inspect(image_model(vision, "cnn", exporter))
    found = selected(read, "cnn", layers)
    shapes = {layer.name: tuple(layer.shape) for layer in layers}
    kernels = [tuple(p.shape) for p in vision.MODELS["cnn"]().parameters() if p.ndim == 4]
    assert sorted(shapes[x] for x in found["pointwise"]) == sorted(k for k in kernels if k[2:] == (1, 1))
    assert sorted(shapes[x] for x in found["spatial"]) == sorted(k for k in kernels if k[2:] != (1, 1))
    assert found["head"] == ["fc"]


@dataclass(frozen=True)
class Named:
    """A layer of which only the name matters."""

    name: str
    op: str = "MatMul"
    shape: tuple[int, ...] = (8, 8)


@pytest.mark.parametrize(
    ("recipe", "selector", "names"),
    [
        ("bert", "attn", "bert.encoder.layer.0.attention.self.query bert.encoder.layer.11.attention.output.dense"),
        ("bert", "attn", "distilbert.transformer.layer.0.attention.q_lin mpnet.encoder.layer.0.attention.attn.o"),
        ("bert", "mlp", "roberta.encoder.layer.0.intermediate.dense encoder.layer.5.output.dense"),
        ("bert", "mlp", "distilbert.transformer.layer.0.ffn.lin1 distilbert.transformer.layer.0.ffn.lin2"),
        ("bert", "head", "bert.pooler.dense classifier qa_outputs cls.predictions.transform.dense lm_head.decoder"),
        ("bert", "head", "pre_classifier vocab_projector"),
        ("llama", "attn", "model.layers.0.self_attn.q_proj layers.0.attention.wq"),
        ("llama", "mlp", "model.layers.31.mlp.gate_proj layers.0.feed_forward.w1"),
        ("llama", "head", "lm_head score"),
        ("vit", "attn", "blocks.0.attn.qkv blocks.11.attn.proj deit.encoder.layer.0.attention.attention.key"),
        ("vit", "mlp", "blocks.0.mlp.fc1 blocks.0.mlp.fc2 deit.encoder.layer.0.output.dense"),
        ("vit", "head", "head vit.pooler.dense classifier"),
        ("cnn", "head", "fc classifier.1 head.fc"),
    ],
)
def test_names_of_libraries(recipe: str, selector: str, names: str, read: Read) -> None:
    """As transformers, timm and torchvision name modules."""
    layers = [Named(name) for name in names.split()]
    found = selected(read, recipe, layers)
    assert found == {name: names.split() if name == selector else [] for name in found}


@pytest.mark.parametrize(
    ("recipe", "op", "names"),
    [
        ("bert", "Gather", "bert.embeddings.word_embeddings bert.embeddings.position_embeddings"),
        ("llama", "Gather", "model.embed_tokens tok_embeddings"),
        ("vit", "Conv", "patch_embed.proj vit.embeddings.patch_embeddings.projection"),
    ],
)
def test_names_of_embeddings(recipe: str, op: str, names: str, read: Read) -> None:
    found = selected(read, recipe, [Named(name, op) for name in names.split()])
    assert found == {name: names.split() if name == "embedding" else [] for name in found}


@pytest.mark.parametrize(
    "use",
    [
        "rewrite head -> lowrank(rank: 1)",
        "ignore head",
        "select mine = head or mlp",
        'select mine = head where name ~ "*"',
        "select mine = top 1 of head by bytes",
    ],
)
def test_what_is_used_must_select_something(use: str, read: Read) -> None:
    layers = [Named("encoder.layer.0.output.dense")]
    plain = "qtn 1\ninclude <bert>\nrewrite mlp -> lowrank(rank: 1)\nemit onnx\n"
    assert select_layers(read(plain), layers)["head"] == ()
    with pytest.raises(SpecError) as caught:
        select_layers(read(f"{plain}{use}\n"), layers)
    (said,) = caught.value.diagnostics
    assert said.message == "`head` selects nothing"
    assert said.span is not None
    assert (said.span.source.name, said.span.chain[0].place()) == ("<bert>", "spec.qtn:2:1")


def test_every_recipe_is_on_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "language.md").read_text(encoding="utf-8")
    table = page.split("<!-- recipes -->\n")[1].split("\n<!-- /recipes -->")[0]
    assert tuple(re.findall(r"^\| `<(\w+)>`", table, re.MULTILINE)) == recipes()


@pytest.mark.parametrize("recipe", recipes())
def test_the_page_names_their_selectors(recipe: str, read: Read) -> None:
    page = (Path(__file__).parents[2] / "docs" / "language.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if line.startswith(f"| `<{recipe}>`"))
    spec = read(f"qtn 1\ninclude <{recipe}>\nemit onnx\n")
    assert re.findall(r"`(\w+)`", row.rsplit("|", 2)[1]) == list(spec.selects)
    assert spec.rewrites == ()
