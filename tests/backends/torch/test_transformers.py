"""The three families as the transformers library writes them, tiny and random, by both exporters."""

import numpy as np
import onnx_ir as ir
import pytest
import torch

from qtnc.backends.torch.emit import emit_torch

TOLERANCE = 1e-5
"""Relative Frobenius error; measured 1e-7 to 3e-7."""

pytestmark = pytest.mark.conformance


class Flat(torch.nn.Module):
    """A model of the library, with tensors in and tensors out."""

    def __init__(self, model, outputs):
        super().__init__()
        self.model = model
        self.outputs = outputs
        self.options = {} if "pooler_output" in outputs else {"use_cache": False}

    def forward(self, input_ids, attention_mask):
        result = self.model(input_ids=input_ids, attention_mask=attention_mask, **self.options)
        found = tuple(result[name] for name in self.outputs)
        return found[0] if len(found) == 1 else found


def library_model(family, attention):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    if family == "llama":
        config = transformers.LlamaConfig(
            vocab_size=61,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            attn_implementation=attention,
        )
        return Flat(transformers.LlamaForCausalLM(config), ["logits"])
    if family == "gpt2":
        ends = {"bos_token_id": 0, "eos_token_id": 0}
        config = transformers.GPT2Config(
            vocab_size=61, n_embd=32, n_layer=2, n_head=4, n_positions=64, attn_implementation=attention, **ends
        )
        return Flat(transformers.GPT2LMHeadModel(config), ["logits"])
    config = transformers.BertConfig(
        vocab_size=61,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        attn_implementation=attention,
    )
    return Flat(transformers.BertModel(config), ["last_hidden_state", "pooler_output"])


CASES = [
    (family, exporter, attention, opset)
    for family in ("llama", "gpt2", "bert")
    for exporter, attention, opset in (
        ("dynamo", "eager", None),
        ("dynamo", "sdpa", None),
        ("dynamo", "sdpa", 23),
        ("legacy", "eager", 17),
        ("legacy", "sdpa", 17),
    )
]


@pytest.mark.parametrize(("family", "exporter", "attention", "opset"), CASES)
@pytest.mark.filterwarnings("ignore")  # the library's own
def test_agrees_with_the_original(export_model, load_emitted, tmp_path, family, exporter, attention, opset):
    original = library_model(family, attention).eval()
    ids = torch.randint(0, 61, (2, 5))
    axes = {0: "batch", 1: "sequence"}
    outputs = {name: {0: "batch"} if name == "pooler_output" else axes for name in original.outputs}
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    every = {"input_ids": axes, "attention_mask": axes, **outputs}
    path = export_model(original, inputs, every, exporter, tmp_path / "model.onnx", opset, list(outputs))
    emit_torch(ir.load(path), tmp_path)
    module = load_emitted(tmp_path)
    for batch, sequence in ((2, 5), (3, 9)):
        ids = torch.randint(0, 61, (batch, sequence))
        mask = torch.ones_like(ids)
        mask[0, sequence // 2 :] = 0
        with torch.no_grad():
            results = module(ids, mask), original(ids, mask)
        got, expected = ([r] if isinstance(r, torch.Tensor) else list(r) for r in results)
        for a, b in zip(got, expected, strict=True):
            assert np.linalg.norm(a - b) <= TOLERANCE * np.linalg.norm(b)
    dims = {0: torch.export.Dim("batch", min=2, max=16), 1: torch.export.Dim("sequence", min=2, max=64)}
    program = torch.export.export(module, (ids, mask), dynamic_shapes=(dims, dims)).module()
    with torch.no_grad():
        again = program(ids, mask)
    first = again if isinstance(again, torch.Tensor) else again[0]
    assert torch.allclose(first, got[0], atol=1e-5)
