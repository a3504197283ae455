"""What each pass does, told by cases: a model as text, the passes to run, and what the model is like afterwards.

A case is one `.qir` file. Beside CHECK lines it may say, at the start of a comment line:

    RUN: pass,pass{option=1 mapping.key=2}      the passes, in order
    DECIDE: a.b -> lowrank(rank: 2)             what becomes of a layer, in the words of the language
    WITHIN: 0.1                                 how far outputs may move, |y' - y| / |y|; 1e-5 where nothing is said
    ERROR: text                                 the passes refuse, and the message holds the text
    SPEC: rule a {                              a line of a spec, whose rules the passes apply

After every pass the model is held to onnx's checker, and onnxruntime computes what it computed before.
"""

import io
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from filecheck.finput import FInput
from filecheck.matcher import Matcher
from filecheck.options import Options
from filecheck.parser import Parser
from qtnc.passes import PASSES

from qtnc.backends.options import BACKENDS
from qtnc.errors import QtncError
from qtnc.ir.layers import Layer, find_layers
from qtnc.ir.text.printer import Printer, print_model
from qtnc.ir.text.reader import parse_model
from qtnc.ir.text.tensors import to_side_file
from qtnc.pipeline import Pass, Pipeline
from qtnc.rewrite.decision import Decision
from qtnc.rewrite.products import declined
from qtnc.rewrite.rule import SpecRule
from qtnc.source import Source
from qtnc.spec.read import read_source
from qtnc.structures.registry import STRUCTURES
from qtnc.structures.structure import Problem, Stack, Structure

HERE = Path(__file__).parent
MONARCH = HERE.parents[1] / "examples" / "plugin" / "qtnc_monarch.py"
"""A structure that has no pass of its own."""
CASES = sorted(HERE.rglob("*.qir"))
EXACT = 1e-5
AXES = (2, 3, 5)
"""Sizes of symbolic axes, in the order in which they are met."""


@dataclass(frozen=True)
class Case:
    passes: tuple[tuple[type[Any], dict[str, Any]], ...]
    decisions: Mapping[str, Structure]
    within: float
    error: str | None
    rules: tuple[SpecRule, ...]


def said(text: str, word: str) -> list[str]:
    return re.findall(rf"^// {word}: *(.+?) *$", text, re.MULTILINE)


def read_case(text: str) -> Case:
    (run,) = said(text, "RUN")
    decided = [line.split(" -> ") for line in said(text, "DECIDE")]
    return Case(
        tuple(named_pass(*part) for part in re.findall(r"([a-z0-9-]+)(?:\{([^}]*)\})?", run)),
        {layer: structure(written) for layer, written in decided},
        float(next(iter(said(text, "WITHIN")), EXACT)),
        next(iter(said(text, "ERROR")), None),
        rules(said(text, "SPEC")),
    )


def rules(lines: Sequence[str]) -> tuple[SpecRule, ...]:
    text = "\n".join(["qtn 1", *lines, "emit onnx", ""])
    return read_source(Source("SPEC", text), STRUCTURES, BACKENDS, HERE).rules


def named_pass(name: str, written: str) -> tuple[type[Any], dict[str, Any]]:
    module, _, word = PASSES[name].partition(":")
    found: dict[str, Any] = {}
    for key, value in (option.split("=") for option in written.split()):
        field, _, entry = key.partition(".")
        if entry:
            found.setdefault(field, {})[entry] = int(value)
        else:
            found[field] = value == "true" if value in ("true", "false") else int(value)
    return getattr(import_module(module), word), found


@cache
def monarch() -> ModuleType:
    found = spec_from_file_location(MONARCH.stem, MONARCH)
    assert found is not None
    assert found.loader is not None
    module = sys.modules[MONARCH.stem] = module_from_spec(found)
    found.loader.exec_module(module)
    return module


def structure(written: str) -> Structure:
    spec = f"qtn 1\nselect s = *\nrewrite s -> {written}\nemit onnx\n"
    known = {**STRUCTURES, "monarch": monarch().Monarch}
    (rewrite,) = read_source(Source("DECIDE", spec), known, BACKENDS, HERE).rewrites
    return rewrite.structure


def passes(case: Case, model: ir.Model) -> Iterator[Pass]:
    """The passes with their decisions, which are settled on the model as it then is."""
    for kind, options in case.passes:
        wanted = {f.name for f in fields(kind)}
        given: dict[str, Any] = {"decisions": tuple(settled(case, model))} if "decisions" in wanted else {}
        given |= {"rules": case.rules} if "rules" in wanted else {}
        yield kind(**options, **given)


def settled(case: Case, model: ir.Model) -> Iterator[Decision]:
    layers = {layer.name: layer for layer in find_layers(model)}
    first: dict[object, str] = {}
    for name, wanted in case.decisions.items():
        # What is not finite is the pass's to refuse.
        fits = name in layers and not declined(layers[name], wanted)
        problem = problem_of(layers[name]) if fits else None
        shares = first.setdefault((layers[name].key, wanted), name) if name in layers else name
        structure = wanted.propose(problem).structure if problem else wanted
        yield Decision(name, structure, shares=None if shares == name else shares)


def problem_of(layer: Layer) -> Problem | Stack:
    weights = np.nan_to_num(layer.matrices())
    return Stack(weights) if layer.stack else Problem(weights[0].astype(np.float64))


def inputs_of(model: ir.Model) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    sizes: dict[str | None, int] = {}
    found = {}
    for value in model.graph.inputs:
        assert value.shape is not None
        assert value.dtype is not None
        shape = [
            axis if isinstance(axis, int) else sizes.setdefault(axis.value, AXES[len(sizes)]) for axis in value.shape
        ]
        numbers = rng.normal(size=shape) if value.dtype.is_floating_point() else rng.integers(0, 2, shape)
        found[value.name or ""] = np.asarray(numbers).astype(value.dtype.numpy())
    return found


def outputs_of(model: ir.Model, inputs: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, dict(inputs))


def distance(before: np.ndarray, after: np.ndarray) -> float:
    assert (before.shape, before.dtype) == (after.shape, after.dtype)
    before, after = before.astype(np.float64), after.astype(np.float64)
    return float(np.linalg.norm(after - before) / max(np.linalg.norm(before), 1e-12))


def check_lines(path: Path, text: str) -> None:
    options = Options(match_filename=str(path))
    matcher = Matcher(options, FInput("actual", text), Parser.from_opts(options))
    matcher.stderr = io.StringIO()
    assert matcher.run() == 0, f"{matcher.stderr.getvalue()}\n{text}"


@pytest.mark.parametrize("path", CASES, ids=[str(path.relative_to(HERE).with_suffix("")) for path in CASES])
def test_case(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    case, model = read_case(text), parse_model(text, source=str(path))
    inputs = inputs_of(model)
    expected = outputs_of(model, inputs)

    if case.error is not None:
        (step,) = passes(case, model)
        with pytest.raises(QtncError, match=re.escape(case.error)):
            step.run(model)
        return

    for step in passes(case, model):
        before = print_model(model, metadata=True)
        result = Pipeline([step]).run(model)
        model = result.model
        printed = print_model(model, metadata=True)
        assert result.ran[0].modified or printed == before, f"{step.name} does not own up to its changes"
        for old, new in zip(expected, outputs_of(model, inputs), strict=True):
            assert distance(old, new) <= case.within, f"{step.name} changes the output"

    check_lines(path, print_model(model))
    printer = Printer(model, metadata=True)
    whole = printer.text()
    weights = {key: to_side_file(tensor) for key, tensor in printer.tensors.items()}
    assert print_model(parse_model(whole, weights), metadata=True) == whole


def test_every_pass_has_cases() -> None:
    assert {path.parent.name for path in CASES} >= set(PASSES)
