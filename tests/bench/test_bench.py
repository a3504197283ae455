"""What is timed is the work that was asked for, in turn, beside the original; no test depends on how long it takes."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import onnxruntime
import pytest

from qtnc.bench import alternation
from qtnc.bench.alternation import alternate
from qtnc.bench.cases import Asked, Case, cases_of
from qtnc.bench.forms import INT8, Forms, forms_of
from qtnc.bench.generation import Generation
from qtnc.errors import DataError
from qtnc.importers.onnx import read_model
from qtnc.ir.decoder import decoder_of
from qtnc.planner import stopwatch
from qtnc.planner.stopwatch import seconds_of

Decoders = Callable[[str, bool], Path]
Run = Callable[..., Any]

SHORT = Asked(rows=2, tokens=6, new=3, budget=0.0)


@pytest.fixture(scope="module")
def pair(decoders: Decoders, compiled: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A decoder compiled in two files: the one for the prompt, and the one that goes on."""
    folder = tmp_path_factory.mktemp("pair")
    first, last = (
        compiled.build(decoders("legacy", past), folder / str(past), *compiled.every("lowrank(rank: 4)")).out
        for past in (False, True)
    )
    return first, last


def test_rounds_alternate_and_the_first_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(1000))
    monkeypatch.setattr(stopwatch, "perf_counter", lambda: float(next(now)))
    order: list[str] = []

    def take(name: str, seconds: float) -> Callable[[], float]:
        def run() -> float:
            order.append(name)
            return seconds * (100.0 if len(order) <= 2 else 1.0)

        return run

    found = alternate({"a": take("a", 1.0), "b": take("b", 2.0)}, budget=3.0, least=4)
    assert order == ["a", "b"] * 5
    assert [(t.seconds, t.low, t.high, t.runs) for t in found.values()] == [(1.0, 1.0, 1.0, 4), (2.0, 2.0, 2.0, 4)]


def test_seconds_are_those_of_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([3.0, 10.0])
    monkeypatch.setattr(stopwatch, "perf_counter", lambda: next(now))
    assert seconds_of(lambda: None)() == 7.0


def test_ratios_and_speeds() -> None:
    timed = {"original": alternation.Timed(0.2, 0.1, 0.3, 5), "onnx": alternation.Timed(0.1, 0.1, 0.1, 5)}
    case = Case("decode", 4, 10, 16, timed, {"original": 100, "onnx": 50})
    assert (case.ratio("onnx"), case.speed("original"), case.speed("onnx")) == (0.5, 200.0, 400.0)
    assert case.to_json()["forms"]["onnx"] == {
        "milliseconds": 100.0,
        "quartiles": [100.0, 100.0],
        "runs": 5,
        "per_second": 400.0,
        "ratio": 0.5,
        "bytes": 50,
    }


@pytest.mark.parametrize("decode", [False, True])
def test_prefill_and_decode(decode: bool, pair: tuple[Path, Path]) -> None:
    first, last = pair
    forms = forms_of(first if decode else last)
    cases = cases_of(forms, forms_of(last) if decode else None, SHORT)
    assert [(case.name, case.rows, case.tokens, case.past) for case in cases] == [
        ("prefill", 2, 6, 0),
        ("decode", 2, 3, 6),
    ]
    for case in cases:
        assert list(case.timed) == ["original", INT8, "onnx", "torch"]
        assert all(timed.runs >= 5 for timed in case.timed.values())
        assert case.bytes["original"] > case.bytes[INT8] > 0


def test_the_cache_grows_by_one_a_call(decoders: Decoders) -> None:
    path = decoders("dynamo", True)
    model = read_model(path)
    decoder = decoder_of(model)
    assert decoder is not None
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    seen = []

    def run(feed: dict[str, Any]) -> dict[str, Any]:
        ids, mask = feed["input_ids"], feed["attention_mask"]
        seen.append((ids.shape, mask.shape[1], feed["past_key_values.1.value"].shape[2]))
        return dict(zip(names, session.run(None, feed), strict=True))

    Generation(model, decoder, rows=2).timed(run, tokens=6, new=3)()
    assert seen == [((2, 6), 6, 0), ((2, 1), 7, 6), ((2, 1), 8, 7), ((2, 1), 9, 8)]


def test_one_call_of_a_model_without_a_past(place: Any, qtnc: Run, tmp_path: Path) -> None:
    qtnc("compile", place.model, place.spec, "-o", place.out)
    forms = forms_of(place.out)
    seen = []
    spied = Forms(forms.model, forms.binds, {"original": seen.append}, forms.bytes, {})  # type: ignore[dict-item]
    (case,) = cases_of(spied, None, Asked(rows=3, budget=0.0))
    assert (case.name, case.rows, case.tokens, case.past) == ("call", 3, None, 0)
    assert {feed["x"].shape for feed in seen} == {(3, 16)}


def test_the_command(pair: tuple[Path, Path], qtnc: Run) -> None:
    first, last = pair
    done = qtnc("bench", first, "--decode", last, "--tokens", 5, "--new", 2, "--format", "json", "--seconds", 0.1)
    assert (done.code, done.err) == (0, "")
    said = json.loads(done.out)
    assert (said["format"], said["threads"], said["missing"]) == (1, 1, {})
    assert [(case["case"], case["tokens"], case["past"]) for case in said["cases"]] == [
        ("prefill", 5, 0),
        ("decode", 2, 5),
    ]
    for case in said["cases"]:
        assert case["forms"]["original"]["ratio"] == 1.0
        for form in case["forms"].values():
            assert form["per_second"] == pytest.approx(1e3 * case["tokens"] / form["milliseconds"])


def test_the_table(pair: tuple[Path, Path], qtnc: Run) -> None:
    done = qtnc("bench", pair[1], "--tokens", 4, "--new", 2, "--seconds", 0.1)
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == "prefill: 1 row of 4 tokens"
    assert lines[1].split() == ["form", "ms", "quartiles", "tokens/s", "ratio", "bytes"]
    assert "decode: 1 row of 2 tokens one by one after 4" in lines


@pytest.mark.parametrize(
    ("option", "wrong"),
    [("rows", "0"), ("new", "-1"), ("tokens", "many"), ("threads", str(1 << 21)), ("seconds", "nan")],
)
def test_wrong_counts_are_wrong_usage(option: str, wrong: str, qtnc: Run, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        qtnc("bench", tmp_path, f"--{option}", wrong)
    assert caught.value.code == 2


def test_what_cannot_be_timed_says_why(pair: tuple[Path, Path], place: Any, qtnc: Run, toys: ModuleType) -> None:
    first, last = pair
    done = qtnc("bench", first, "--decode", first)
    assert (done.code, done.out) == (1, "")
    assert "the model of --decode takes no past" in done.err
    done = qtnc("bench", last, "--decode", last)
    assert (done.code, done.out) == (1, "")
    assert "leave --decode out" in done.err
    qtnc("compile", place.model, place.spec, "-o", place.out)
    place.model.unlink()
    done = qtnc("bench", place.out)
    assert (done.code, done.out) == (1, "")
    assert "name it by --model" in done.err
    assert qtnc("bench", place.folder / "nowhere").code == 1


def test_a_past_of_fixed_length_cannot_grow(decoders: Decoders) -> None:
    model = read_model(decoders("legacy", True))
    for value in model.graph.inputs:
        if str(value.name).startswith("past"):
            value.shape = type(value.shape)([None if k == 0 else 4 for k in range(4)])  # type: ignore[misc]
    decoder = decoder_of(model)
    assert decoder is not None
    with pytest.raises(DataError, match="the past of the decoder has a fixed length"):
        Generation(model, decoder, rows=1)


def test_a_model_that_the_quantiser_refuses_has_no_baseline(
    place: Any, qtnc: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise ValueError("no such operator")

    qtnc("compile", place.model, place.spec, "-o", place.out)
    monkeypatch.setattr("onnxruntime.quantization.quantize_dynamic", refuse)
    done = qtnc("bench", place.out, "--rows", 2, "--seconds", 0.1)
    assert done.code == 0
    assert f"{INT8}: not there: no such operator" in done.out
    assert [line.split("  ")[0] for line in done.out.splitlines()[2:5]] == ["original", "onnx", "torch"]
