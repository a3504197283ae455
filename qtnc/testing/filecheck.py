"""Cases run: every pass is held to what it promises, and the model at the end to the CHECK lines."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import onnx_ir as ir

from qtnc.errors import MissingExtraError, QtncError
from qtnc.ir.text.printer import print_model
from qtnc.ir.text.reader import parse_model
from qtnc.pipeline import Pipeline
from qtnc.testing.case import Case, made, read_case
from qtnc.testing.equivalence import assert_equivalent

SIZES = (2, 3, 5)
"""Of symbolic axes, in the order in which they are met."""


def check_file(path: str | Path, *, passes: Sequence[Any] = (), structures: Sequence[type[Any]] = ()) -> ir.Model:
    """Run the case in a ``.qir`` file; see :func:`check_text`."""
    path = Path(path)
    return check_text(path.read_text(encoding="utf-8"), str(path), passes=passes, structures=structures)


def check_text(
    text: str, name: str = "case", *, passes: Sequence[Any] = (), structures: Sequence[type[Any]] = ()
) -> ir.Model:
    """Run a case: a model as ``qtnc opt`` prints it, with comments that say what to run and what comes of it.

    After every pass the model passes onnx's checker, runs in onnxruntime and computes what it computed, within what
    the case allows; a pass that says that it changed nothing has not. Then the printed model meets the CHECK lines.

    Parameters
    ----------
    name : of the case, for messages.
    passes : what RUN may name beside passes that ship and those of packages: passes of qtnc's kind, of onnx-ir, or
        rewrite rules of onnxscript, as a file lists them in ``PASSES``.
    structures : classes that DECIDE may name beside those that ship.

    Returns
    -------
    The model at the end.

    Raises
    ------
    AssertionError
        If anything of that fails.
    ValueError
        If the case is malformed.
    """
    case, model = read_case(text, name, passes, structures), parse_model(text, source=name)
    if case.error is not None:
        _check_refused(case, model)
        return model
    original = model.clone()
    for step in made(case, model):
        printed = print_model(model, metadata=True)
        result = Pipeline([step]).run(model)
        model = result.model
        same = print_model(model, metadata=True) == printed
        assert result.ran[0].modified or same, f"{step.name} does not own up to its changes"  # noqa: S101
        try:
            assert_equivalent(original, model, rtol=case.within, binds=_sizes(original), limits=case.limits, seeds=(0,))
        except AssertionError as error:
            raise AssertionError(f"after {step.name}: {error}") from None
    _check_lines(name, text, print_model(model))
    return model


def _check_refused(case: Case, model: ir.Model) -> None:
    said = ""
    try:
        for step in made(case, model):
            model = Pipeline([step]).run(model).model
    except QtncError as error:
        said = str(error)
    assert case.error is not None  # noqa: S101 - asked before
    told = f"what they say is: {said}" if said else "they refuse nothing"
    assert case.error in said, f"the passes are to refuse with `{case.error}`; {told}"  # noqa: S101


def _check_lines(name: str, text: str, printed: str) -> None:
    try:
        from filecheck.finput import FInput
        from filecheck.matcher import Matcher
        from filecheck.options import Options
        from filecheck.parser import Parser, pattern_for_opts
    except ImportError as error:
        raise MissingExtraError('cases need the package filecheck: pip install "qtnc[testing]"') from error

    options = Options(match_filename=name)
    lines = Parser(options, io.StringIO(text), *pattern_for_opts(options))
    matcher = Matcher(options, FInput("printed", printed), lines)
    matcher.stderr = io.StringIO()
    assert matcher.run() == 0, f"{matcher.stderr.getvalue()}\n{printed}"  # noqa: S101


def _sizes(model: ir.Model) -> dict[str, int]:
    symbols = dict.fromkeys(_symbols(model))
    return {symbol: SIZES[place % len(SIZES)] for place, symbol in enumerate(symbols)}


def _symbols(model: ir.Model) -> Iterator[str]:
    for value in model.graph.inputs:
        for axis in value.shape or ():
            if not isinstance(axis, int) and axis.value:
                yield axis.value
