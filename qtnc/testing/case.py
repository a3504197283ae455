"""A case of a pass as text: the model, the passes to run, and what is asked of them, in comments."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from qtnc.backends.options import BACKENDS
from qtnc.ir.layers import Layer, find_layers
from qtnc.pipeline import Pass
from qtnc.plugins.offer import offers_of
from qtnc.rewrite.decision import Decision
from qtnc.rewrite.products import declined
from qtnc.road.steps import Known, Step, read_steps
from qtnc.rules.rule import SpecRule
from qtnc.source import Source
from qtnc.spec.read import read_source
from qtnc.structures.registry import STRUCTURES
from qtnc.structures.structure import Problem, Stack, Structure

WITHIN = 1e-5
"""How far outputs may move where a case says nothing."""


@dataclass(frozen=True)
class Case:
    """What a case asks for.

    Attributes
    ----------
    steps : the passes, in order.
    decisions : structures by layer, as a spec would name them.
    within : how far outputs may move, ``|y' - y| / |y|``.
    limits : below which integers of an input are drawn, where the model does not tell.
    error : text of the message with which the passes refuse; None where they do not.
    rules : those of the spec whose lines the case has.
    """

    steps: tuple[Step, ...]
    decisions: Mapping[str, Structure]
    within: float
    limits: Mapping[str, int]
    error: str | None
    rules: tuple[SpecRule, ...]


def read_case(text: str, name: str, passes: Sequence[Any] = (), structures: Sequence[type[Any]] = ()) -> Case:
    """Read the comments of a case.

    Parameters
    ----------
    name : of the file, for messages.
    passes, structures : what it may name beside what ships and what packages offer.

    Raises
    ------
    ValueError
        If a comment is missing, given too often, or malformed.
    QtncError
        If a pass, a structure or an option is not known.
    """
    runs = _said(text, "RUN")
    if len(runs) != 1:
        raise ValueError(f"{name}: a case has one line `// RUN: pass,...`, and here are {len(runs)}")
    own = tuple(Step(offer) for offer in offers_of(passes, "the test"))
    decided = [line.partition(" -> ") for line in _said(text, "DECIDE")]
    known = {**STRUCTURES, **{kind.name: kind for kind in structures}}
    return Case(
        read_steps(runs[0], Known(own)),
        {layer: _structure(written, known, name) for layer, _, written in decided},
        float(next(iter(_said(text, "WITHIN")), WITHIN)),
        {name: int(limit) for name, limit in map(str.split, _said(text, "BELOW"))},
        next(iter(_said(text, "ERROR")), None),
        _rules(_said(text, "SPEC"), name),
    )


def made(case: Case, model: ir.Model) -> Iterator[Pass]:
    """The passes, one after the other; decisions are settled on the model as it then is."""
    for step in case.steps:
        decisions = {"decisions": tuple(_settled(case, model))} if step.decides else {}
        yield step.made({"rules": case.rules, **decisions})


def _said(text: str, word: str) -> list[str]:
    return re.findall(rf"^// {word}: *(.+?) *$", text, re.MULTILINE)


def _structure(written: str, known: Mapping[str, type[Any]], name: str) -> Structure:
    spec = f"qtn 1\nselect s = *\nrewrite s -> {written}\nemit onnx\n"
    (rewrite,) = read_source(Source(f"{name}: DECIDE", spec), known, BACKENDS, Path()).rewrites
    structure: Structure = rewrite.structure
    return structure


def _rules(lines: Sequence[str], name: str) -> tuple[SpecRule, ...]:
    text = "\n".join(["qtn 1", *lines, "emit onnx", ""])
    return read_source(Source(f"{name}: SPEC", text), STRUCTURES, BACKENDS, Path()).rules


def _settled(case: Case, model: ir.Model) -> Iterator[Decision]:
    layers = {layer.name: layer for layer in find_layers(model)}
    first: dict[object, str] = {}
    for name, wanted in case.decisions.items():
        # What is not finite is the pass's to refuse.
        fits = name in layers and not declined(layers[name], wanted)
        problem = _problem_of(layers[name]) if fits else None
        shares = first.setdefault((layers[name].key, wanted), name) if name in layers else name
        structure = wanted.propose(problem).structure if problem else wanted
        yield Decision(name, structure, shares=None if shares == name else shares)


def _problem_of(layer: Layer) -> Problem | Stack:
    weights = np.nan_to_num(layer.matrices())
    return Stack(weights) if layer.stack else Problem(weights[0].astype(np.float64))
