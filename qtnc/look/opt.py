"""Passes on an IR file, without a spec and a plan."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import onnx
import onnx_ir as ir

from qtnc.backends.onnx import INLINE_LIMIT, write_onnx
from qtnc.backends.options import BACKENDS
from qtnc.errors import Diagnostic, ImportModelError, OutputError, UsageError
from qtnc.importers.onnx import read_model
from qtnc.importers.soundness import fault
from qtnc.ir.text.files import load_text, save_text
from qtnc.passes import PASSES
from qtnc.pipeline import Pipeline
from qtnc.plugins.allowed import Allowed
from qtnc.plugins.entry import Passes
from qtnc.plugins.file import load_file
from qtnc.road.steps import NOTHING_USED, Known, Step, read_steps
from qtnc.rules.rule import SpecRule
from qtnc.spec.read import read_spec

TEXT, ONNX = ".qir", ".onnx"


def read_ir(path: Path) -> ir.Model:
    """Read ``.qir`` as text, and anything else as ONNX.

    Raises
    ------
    ImportModelError
        If the file cannot be read, or what it holds is no valid ONNX model.
    """
    if path.suffix != TEXT:
        return read_model(path)
    model = load_text(path)
    try:
        if sum(v.const_value.nbytes for v in model.graph.initializers.values() if v.const_value) <= INLINE_LIMIT:
            proto = ir.to_proto(model)
            if reason := fault(proto):
                raise ImportModelError(Diagnostic(reason, place=str(path)))
            onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ImportModelError(Diagnostic(f"not a valid ONNX model: {str(error)[:300]}", place=str(path))) from error
    return model


def read_rules(path: Path, *, plugins: bool = True) -> tuple[SpecRule, ...]:
    """Rules of a spec, or of a file that specs include; what else it says is checked, and done by nobody.

    Raises
    ------
    SpecError
        If it is wrong.
    """
    allowed = Allowed(plugins, python="leave")
    return read_spec(path, allowed.structures, BACKENDS, allowed=allowed).rules


def run_passes(
    model: ir.Model, text: str, known: Known = NOTHING_USED, given: Mapping[str, Any] = MappingProxyType({})
) -> ir.Model:
    """Run a pipeline of passes that need no plan, those of others among them that are known.

    Parameters
    ----------
    given : options of passes that have them.

    Raises
    ------
    UsageError
        If the text is wrong, or a pass does what a plan decides.
    """
    steps = read_steps(text, known)
    if decides := [step.name for step in steps if step.decides]:
        message = f"{', '.join(dict.fromkeys(decides))} does what a plan decides, and here is none"
        raise UsageError(Diagnostic(message, help="use `qtnc compile`, which makes one from a spec"))
    return Pipeline([step.made(given) for step in steps]).run(model).model


def known_passes(files: Sequence[Path], *, plugins: bool = True) -> Known:
    """Passes that a pipeline may name: of files, which are run for it, and of other packages.

    Raises
    ------
    PluginError
        If a file cannot be used.
    UsageError
        If two files offer one name, or a file one of qtnc's own.
    """
    found: dict[str, Step] = {}
    for path in files:
        for offer in load_file(path).passes:
            if offer.name in PASSES or offer.name in found:
                whose = (
                    "is qtnc's own" if offer.name in PASSES else f"is offered by {found[offer.name].offer.origin} too"
                )
                raise UsageError(Diagnostic(f"pass `{offer.name}` of {offer.origin} {whose}", help="rename the pass"))
            found[offer.name] = Step(offer)
    return Known(tuple(found.values()), Passes(plugins))


def check_output(path: Path, *, force: bool) -> None:
    """Refuse an ending that says no form, and, unless forced, a file that is there.

    Raises
    ------
    UsageError
        For the ending.
    OutputError
        For the file.
    """
    if path.suffix not in (TEXT, ONNX):
        raise UsageError(Diagnostic(f"the ending says no form: {path}", help=f"write to {ONNX} or {TEXT}"))
    if not force and any(name.exists() for name in _files(path)):
        raise OutputError(Diagnostic("is there already", place=str(path), help="choose another -o, or add --force"))


def write_ir(model: ir.Model, path: Path) -> None:
    """Write ``.qir`` with its tensors beside it, or ``.onnx``.

    Both are written aside and renamed: what is replaced may be the input, whose weights are still being read.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    try:
        with TemporaryDirectory(prefix=".qtnc-", dir=path.parent) as folder:
            aside = Path(folder) / path.name
            (save_text if path.suffix == TEXT else write_onnx)(model, aside)
            for made, final in zip(_files(aside), _files(path), strict=True):
                if made.exists():
                    os.replace(made, final)
    except OSError as error:
        raise OutputError(Diagnostic(f"cannot be written: {error.strerror or error}", place=str(path))) from error


def _files(path: Path) -> tuple[Path, Path]:
    """The file beside, which the other needs, and the file itself."""
    return path.with_name(path.name + (".safetensors" if path.suffix == TEXT else ".data")), path
