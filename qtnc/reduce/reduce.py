"""From a command that fails to a folder that says all about it."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from qtnc import __version__
from qtnc.backends.options import BACKENDS
from qtnc.errors import Diagnostic, QtncError, UsageError, visible
from qtnc.importers.onnx import read_model
from qtnc.look.opt import TEXT, read_ir
from qtnc.output.staging import check_apart, check_free, staged
from qtnc.plugins.allowed import Allowed
from qtnc.reduce.pair import Pair
from qtnc.reduce.reduction import Reduction, SpentError
from qtnc.reduce.text import Statement, moved, statements_of
from qtnc.reduce.trial import Outcome, Sought, run
from qtnc.road.road import DEFAULT
from qtnc.spec.file import read_text
from qtnc.spec.read import read_spec

COMMANDS = ("compile", "plan", "check", "opt")
PIPELINE = "--pass-pipeline"
SLACK = 30.0
"""Seconds that a trial may take beside five times what the first took."""


@dataclass(frozen=True)
class Reduced:
    """What was made small, how it fails, and whether the search was interrupted."""

    before: Pair
    after: Pair
    outcome: Outcome
    trials: int
    interrupted: bool
    line: str


def reduce(
    model: Path,
    spec: Path | None,
    out: Path,
    *,
    command: str = "compile",
    more: Sequence[str] = (),
    match: str | None = None,
    code: int | None = None,
    seconds: float | None = None,
    trials: int = 1000,
    use: Sequence[Path] = (),
    force: bool = False,
    told: Callable[[Reduction], None] = lambda reduction: None,
) -> Reduced:
    """Make a model and a spec small with which a command fails, and write them into a folder.

    Parameters
    ----------
    model : an ``.onnx`` file, or a ``.qir`` file, which becomes one.
    command : one of :data:`COMMANDS`.
    more : further arguments of the command.
    match, code : what is said, and the exit code; where nothing is given, as at first.
    seconds : that one trial may take; where nothing is said, as the first one suggests.
    trials : that may be made.
    use : Python files for ``opt``.

    Raises
    ------
    UsageError
        If the command does not fail, or not so.
    ImportModelError
        If the model is a ``.qir`` file that cannot be read.
    OutputError
        If the folder cannot be written.
    """
    check_free(out, force=force)
    check_apart(out, [model, *use, *([spec] if spec else [])])
    with TemporaryDirectory(prefix="qtnc-reduce-") as name:
        scratch = Path(name)
        given, passes = _without_pipeline(more)
        given += tuple(part for path in use for part in ("--use", path.name))
        files = {path.name: path.resolve() for path in use}
        held = read_ir(model) if model.suffix == TEXT else model
        first = Pair(held, None, passes, files)
        if spec is not None:
            text, data = moved(read_text(spec))
            files |= {name: spec.parent / path for name, path in data.items() if (spec.parent / path).is_file()}
            files |= _beside(spec)
            first = Pair(held, (Statement(text, whole=True),), passes, files)
        outcome = _first(first, command, given, scratch, seconds)
        sought = _sought(outcome, match, code)
        limit = seconds or SLACK + 5 * outcome.seconds
        search = Reduction(command, given, first, outcome, sought, limit, trials, told, scratch)
        interrupted, before = False, first
        try:
            with suppress(SpentError):
                before = _opened(search, model)
                search.all()
        except KeyboardInterrupt:
            interrupted = True
        after = search.best
        line = after.line(command, given)
        with staged(out, force=force) as folder:
            after.write(folder)
            (folder / "README.md").write_text(_told(search, line), encoding="utf-8", errors="backslashreplace")
    return Reduced(before, after, search.outcome, search.done, interrupted, line)


def _first(pair: Pair, command: str, more: Sequence[str], scratch: Path, seconds: float | None) -> Outcome:
    folder = scratch / "first"
    folder.mkdir()
    pair.write(folder)
    return run(pair.arguments(command, more), folder, seconds or 600.0)


def _sought(outcome: Outcome, match: str | None, code: int | None) -> Sought:
    sought = Sought(outcome.code if code is None else code, match, outcome.reason)
    if outcome.code == 0 and code != 0:
        raise UsageError(Diagnostic("the command does not fail", help="name another by --command and --arguments"))
    if outcome.code is None:
        raise UsageError(Diagnostic("the command does not end", help="allow more seconds by --timeout"))
    if not sought.is_met(outcome):
        message = f"the command does not fail so: it ends with exit code {outcome.code} and says `{outcome.shown}`"
        raise UsageError(Diagnostic(message, help="leave out --exit and --match to take it as it fails"))
    return sought


def _opened(search: Reduction, model: Path) -> Pair:
    """Divide the spec, read the model and name the passes, each where the command fails with it as well."""
    if search.best.statements is not None:
        (whole,) = search.best.statements
        search.fails(replace(search.best, statements=tuple(statements_of(whole.text))))
    if isinstance(search.best.model, Path):
        with suppress(QtncError):  # the failure is perhaps that it cannot be read
            search.fails(replace(search.best, model=read_model(model)))
    if search.command == "compile" and search.best.passes is None:
        search.fails(replace(search.best, passes=tuple(DEFAULT.split(","))))
    return search.best


def _beside(spec: Path) -> dict[str, Path]:
    """Files that a spec includes and uses, by their paths from its folder; none where it cannot be read."""
    allowed = Allowed(python="leave")
    try:
        read = read_spec(spec, allowed.structures, BACKENDS, (), allowed)
    except QtncError:
        names = re.findall(r'^\s*(?:include|use)\s+"([^"\n]+)"', read_text(spec), re.MULTILINE)
        found = {name: spec.parent / name for name in names}
        return {n: p for n, p in found.items() if p.is_file() and p.resolve().is_relative_to(spec.parent.resolve())}
    included = {text.name: text.path for text in read.includes if text.path}
    return included | {use.name: use.path for use in read.uses if use.path}


def _without_pipeline(more: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    """Arguments without the pipeline, and its passes."""
    kept, passes, waiting = [], None, False
    for argument in more:
        if waiting or argument.startswith(f"{PIPELINE}="):
            passes, waiting = tuple(argument.removeprefix(f"{PIPELINE}=").split(",")), False
        elif argument == PIPELINE:
            waiting = True
        else:
            kept.append(argument)
    return tuple(kept), passes


def _told(search: Reduction, line: str) -> str:
    said = "".join(f"    {visible(text)}\n" for text in search.outcome.said.splitlines()[-20:])
    seeds = "All weights are drawn from a seed.\n" if search.seeds_only else ""
    return (
        f"# A failure, made small by `qtnc reduce`\n\n    {visible(line)}\n\n"
        f"ends with exit code {search.outcome.code} and says\n\n{said}\n{seeds}"
        f"{search.best.size()}; qtnc {__version__}.\n"
    )
