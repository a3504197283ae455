"""Decoders with a cache: what is compiled goes on with the same words, from any past, also from none."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray

from qtnc.importers.onnx import read_model
from qtnc.ir.decoder import decoder_of
from qtnc.verify.seeded import seeded_feed

Decoders = Callable[[str, bool], Path]
Load = Callable[[Path], torch.nn.Module]
Array = NDArray[Any]
Call = Callable[[dict[str, Array]], list[Array]]

EXPORTERS = ["dynamo", "legacy"]
LAYERS, GROUPS, SIZE, VOCABULARY = 2, 2, 8, 61
STEPS = 20
EXACT = "mpo(sites: 2)"
"""An operator without limits stands for any weight."""

PROMPT = np.array([[5, 17, 3, 44], [60, 0, 8, 21]])


def empty(batch: int) -> list[Array]:
    return [np.zeros((batch, GROUPS, 0, SIZE), np.float32) for _ in range(2 * LAYERS)]


def names(past: bool) -> list[str]:
    cache = [f"past_key_values.{k}.{part}" for k in range(LAYERS) for part in ("key", "value")]
    return ["input_ids", "attention_mask", *(cache if past else [])]


def onnx_call(path: Path) -> Call:
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda feed: session.run(None, feed)


def torch_call(folder: Path, load: Load) -> Call:
    model = load(folder)

    def call(feed: dict[str, Array]) -> list[Array]:
        with torch.inference_mode():
            return [y.numpy() for y in model(*map(torch.from_numpy, feed.values()))]

    return call


def greedy(decode: Call, prompt: Array, steps: int, prefill: Call | None = None) -> Array:
    """Likeliest ids, one after another; the first call takes the prompt and no past."""
    found, cache, ids = [prompt], empty(len(prompt)), prompt
    for step in range(steps):
        alone = step == 0 and prefill is not None
        total = ids.shape[1] + cache[0].shape[2]
        given = [ids, np.ones((len(prompt), total), np.int64), *([] if alone else cache)]
        feed = dict(zip(names(not alone), given, strict=True))
        logits, *cache = prefill(feed) if alone and prefill else decode(feed)
        ids = logits[:, -1:].argmax(-1)
        found.append(ids)
    return np.concatenate(found, axis=1)


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_greedy_words_are_those_of_the_original(
    exporter: str, decoders: Decoders, compiled: ModuleType, load_emitted: Load, tmp_path: Path
) -> None:
    model = decoders(exporter, True)
    binds = "bind batch_size = 1, sequence_length = 1, past_sequence_length = 9"
    out = compiled.build(model, tmp_path / "out", binds, *compiled.every(EXACT), "verify outputs within 0.1%").out
    expected = greedy(onnx_call(model), PROMPT, STEPS)
    assert len(set(map(tuple, expected[:, 4:].T))) > 2, "a model that repeats itself shows nothing"
    np.testing.assert_array_equal(greedy(onnx_call(out / "onnx" / "model.onnx"), PROMPT, STEPS), expected)
    np.testing.assert_array_equal(greedy(torch_call(out / "torch", load_emitted), PROMPT, STEPS), expected)


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_a_pair_shares_names_and_cores(
    exporter: str, decoders: Decoders, compiled: ModuleType, load_emitted: Load, tmp_path: Path
) -> None:
    limited = compiled.every("mpo(sites: auto, bytes: 60%)")
    pairs: dict[str, list[Any]] = {"limited": [], "exact": []}
    for past in (False, True):
        for kind, statements in (("limited", limited), ("exact", compiled.every(EXACT))):
            pairs[kind].append(compiled.build(decoders(exporter, past), tmp_path / f"{kind}{past}", *statements))
    first, second = pairs["limited"]
    assert [entry.layer for entry in first.plan.layers] == [entry.layer for entry in second.plan.layers]
    cores = [{n: x for n, x in compiled.stored(done.out)[0].items() if ".core_" in n} for done in (first, second)]
    assert cores[0].keys() == cores[1].keys() != set()
    for name, core in cores[0].items():
        np.testing.assert_array_equal(core, cores[1][name])
    prefill, decode = (done.out for done in pairs["exact"])
    expected = greedy(onnx_call(decoders(exporter, True)), PROMPT, STEPS)
    by_onnx = [onnx_call(out / "onnx" / "model.onnx") for out in (decode, prefill)]
    by_torch = [torch_call(out / "torch", load_emitted) for out in (decode, prefill)]
    for call, start in (by_onnx, by_torch):
        np.testing.assert_array_equal(greedy(call, PROMPT, STEPS, start), expected)


def test_a_decoder_in_half_begins_and_goes_on(
    decoders: Decoders, qtnc: Callable[..., Any], load_emitted: Load, tmp_path: Path
) -> None:
    model, spec = decoders("dynamo", True), tmp_path / "spec.qtn"
    spec.write_text("qtn 1\nemit onnx(dtype: float16)\nemit torch(dtype: float16)\nverify outputs within 1%\n")
    assert qtnc("compile", model, spec, "-o", tmp_path / "out").code == 0
    assert json.loads((tmp_path / "out" / "report.json").read_text())["verify"][0]["holds"]
    expected = greedy(onnx_call(model), PROMPT, 3)
    for call in (onnx_call(tmp_path / "out" / "onnx" / "model.onnx"), torch_call(tmp_path / "out/torch", load_emitted)):
        np.testing.assert_array_equal(greedy(call, PROMPT, 3), expected)


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_a_decoder_is_known_by_its_names(exporter: str, decoders: Decoders) -> None:
    found = decoder_of(read_model(decoders(exporter, True)))
    assert found is not None
    assert found.mask is not None
    assert (found.ids.name, found.mask.name, found.positions) == ("input_ids", "attention_mask", None)
    assert (found.logits, found.past_axis) == ("logits", 2)
    pairs = {str(value.name): output for value, output in found.cache.items()}
    assert pairs == {name: name.replace("past_key_values", "present") for name in names(True)[2:]}
    without = decoder_of(read_model(decoders(exporter, False)))
    assert without is not None
    assert (without.cache, without.past_axis) == ({}, None)


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("binds", [{}, {"past_sequence_length": 5, "sequence_length": 3}])
def test_seeded_lengths_agree(exporter: str, binds: dict[str, int], decoders: Decoders) -> None:
    feed = seeded_feed(read_model(decoders(exporter, True)), binds)
    past, length = binds.get("past_sequence_length", 16), binds.get("sequence_length", 16)
    assert feed["attention_mask"].shape == (4, past + length)
    assert feed["input_ids"].shape == (4, length)
    assert {feed[name].shape for name in names(True)[2:]} == {(4, GROUPS, past, SIZE)}
    assert feed["input_ids"].max() < VOCABULARY


@pytest.mark.parametrize("total", ["total", "past + sequence", "sequence+past", "past + 3 + sequence"])
def test_sums_of_symbols_and_positions(total: str) -> None:
    inputs = [
        ir.val("input_ids", ir.DataType.INT64, ["batch", "sequence"]),
        ir.val("attention_mask", ir.DataType.BOOL, ["batch", total]),
        ir.val("position_ids", ir.DataType.INT64, ["batch", "sequence"]),
        ir.val("past.0.key", ir.DataType.FLOAT, ["batch", 2, "past", 8]),
    ]
    outputs = [ir.val("logits", ir.DataType.FLOAT), ir.val("present.0.key", ir.DataType.FLOAT)]
    table = ir.val("table", const_value=ir.tensor(np.zeros((VOCABULARY, 1), np.float32), name="table"))
    gather = ir.node("Gather", [table, inputs[0]], outputs=[outputs[0]])
    kept = ir.node("Identity", [inputs[3]], outputs=[outputs[1]])
    graph = ir.Graph(inputs, outputs, nodes=[gather, kept], initializers=[table], opset_imports={"": 18})
    feed = seeded_feed(ir.Model(graph, ir_version=10), {"past": 7, "sequence": 2})
    assert feed["attention_mask"].shape == (4, 12 if "3" in total else 9)
    np.testing.assert_array_equal(feed["position_ids"], [[7, 8]] * 4)
