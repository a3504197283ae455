"""Mutated specs read, checked against a model and formatted; a process of its own, that an alarm ends.

``fuzzing.py MODEL FOLDER FIRST END`` writes a line of JSON for every seed as it begins, and one for what came of it.
"""

import json
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import onnx_ir as ir
from mutants import mutant

from qtnc.backends.options import BACKENDS
from qtnc.compiler import prepare
from qtnc.errors import SpecError
from qtnc.importers.onnx import read_model
from qtnc.look.check import check_spec
from qtnc.source import Source
from qtnc.spec.file import read_text
from qtnc.spec.form import formatted
from qtnc.spec.program import Spec
from qtnc.spec.read import read_spec
from qtnc.spec.syntax import lexemes
from qtnc.structures.registry import STRUCTURES

SECONDS = 10
"""Of the processor that one spec may take; most take a hundredth of one. A clock has six times as many."""


def sound(error: SpecError) -> None:
    """An error has diagnostics, each at a place that there is, printed without what a terminal acts on."""
    assert error.diagnostics
    for said in error.diagnostics:
        assert said.message
        assert said.span is None or 0 <= said.span.start <= said.span.end <= len(said.span.source.text)
    text = str(error)
    assert text.encode("utf-8")
    assert all(char.isprintable() or char in "\n\t" for char in text)


def read(path: Path, model: ir.Model) -> str:
    """How far a spec comes: ``refused``, ``selects nothing`` or ``selects``."""
    try:
        spec = read_spec(path, STRUCTURES, BACKENDS)
    except SpecError as error:
        sound(error)
        return "refused"
    ends = "selects"
    for stage in spec.stages or [None]:
        try:
            check_spec(model, spec.at(stage))
        except SpecError as error:
            sound(error)
            ends = "selects nothing"
    form(path, spec)
    return ends


def form(path: Path, spec: Spec) -> None:
    """What was read has one form, of the same words, and stays in it."""
    text = read_text(path)
    once = formatted(Source("spec.qtn", text))
    assert formatted(Source("spec.qtn", once)) == once
    assert [lexeme.text for lexeme in lexemes(once)] == [lexeme.text for lexeme in lexemes(text)]
    assert spec.source.text == text


def shaped(path: Path) -> None:
    """Whatever the text is, there is a form or an error."""
    try:
        formatted(Source("spec.qtn", read_text(path)))
    except SpecError as error:
        sound(error)


def main(model: str, folder: str, first: str, end: str) -> None:
    """Try the seeds from ``first`` to before ``end``."""
    canonical = prepare(read_model(Path(model)))
    path = Path(folder) / "spec.qtn"
    path.with_name("other.qtn").write_text("qtn 1\nlet other = 3\nselect others = MatMul\n")
    for seed in range(int(first), int(end)):
        tell({"seed": seed})
        path.write_bytes(mutant(seed))
        alarm(SECONDS)
        try:
            shaped(path)
            tell({"came": read(path, canonical)})
        except BaseException:
            tell({"fault": traceback.format_exc()})
        alarm(0)


def alarm(seconds: int) -> None:
    """End the process in so many seconds, wherever it is then, in re2 too: nothing handles the signals."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, 6 * seconds)


def tell(what: dict[str, Any]) -> None:
    """Write a line at once: the process may end at any time."""
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
