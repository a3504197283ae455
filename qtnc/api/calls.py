"""``qtnc.inspect``, ``qtnc.plan`` and ``qtnc.compile``."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from qtnc import compiler
from qtnc.api.results import Compilation, Inspection, Planning
from qtnc.errors import UsageError
from qtnc.plugins.allowed import Allowed
from qtnc.source import Source
from qtnc.work.cache import Cache, default_cache
from qtnc.work.work import Listener, Work

File = str | Path


def inspect(model: File, *, spectra: bool = False) -> Inspection:
    """List the layers of a model under their canonical names.

    Parameters
    ----------
    model : an ONNX file.
    spectra : whether to add what tells which layers will compress; takes an SVD a layer.

    Raises
    ------
    ImportModelError
        If the model cannot be read.
    """
    return Inspection(compiler.inspect(Path(model), spectra=spectra))


def plan(
    model: File,
    spec: File,
    *,
    stage: str | None = None,
    settings: Mapping[str, int | str] | None = None,
    jobs: int = 1,
    cache: bool | File = True,
    progress: Listener | None = None,
    plugins: bool = True,
    python: bool = True,
) -> Planning:
    """Decide what a compile will do to each layer, and write nothing.

    Parameters
    ----------
    model : an ONNX file.
    spec : a .qtn file, or the text of a spec: a string of several lines, whose paths start at the working directory.
    stage : of the spec; the last one where None.
    settings : bound sizes, values that are let, or ``optimize``, in place of what the spec says.
    jobs : processes that fit layers.
    cache : whether to keep and find fits in the user's cache, or a folder to keep them in.
    progress : is told how far it is; see :class:`qtnc.Progress`.
    plugins : whether the spec may name structures and passes of other packages.
    python : whether it may use Python files of its folder; where it may not, it uses no packages either.

    Raises
    ------
    QtncError
        The one that fits, with diagnostics: ``SpecError``, ``ImportModelError``, ``DataError``, ``UsageError``...
    """
    work = _work(jobs, cache, progress)
    made = compiler.plan(Path(model), _spec(spec), stage, _settings(settings), work, allowed=_allowed(plugins, python))
    return Planning(made.plan)


def compile(  # noqa: A001 - what it is called on the command line
    model: File,
    spec: File,
    out: File,
    *,
    stage: str | None = None,
    settings: Mapping[str, int | str] | None = None,
    plan: File | None = None,
    force: bool = False,
    jobs: int = 1,
    cache: bool | File = True,
    progress: Listener | None = None,
    plugins: bool = True,
    python: bool = True,
) -> Compilation:
    """Compile a model by a spec into a folder, which appears whole or not at all.

    Parameters
    ----------
    model, spec, stage, settings, jobs, cache, progress, plugins, python : as for :func:`plan`.
    out : the folder.
    plan : a plan.json to obey instead of planning anew.
    force : whether to replace a folder that is not empty.

    Raises
    ------
    QtncError
        The one that fits. A ``verify`` that does not hold is none: see ``Compilation.holds``.
    """
    done = compiler.compile_model(
        Path(model),
        _spec(spec),
        Path(out),
        stage=stage,
        force=force,
        settings=_settings(settings),
        work=_work(jobs, cache, progress),
        recorded=None if plan is None else Path(plan),
        allowed=_allowed(plugins, python),
    )
    return Compilation(done.out, done.plan, done.verdicts, done.holds)


def _spec(spec: File) -> Path | Source:
    return Source("<spec>", spec) if isinstance(spec, str) and "\n" in spec else Path(spec)


def _allowed(plugins: bool, python: bool) -> Allowed:
    return replace(compiler.ANYTHING, plugins=plugins, python="run" if python else "refuse")


def _settings(settings: Mapping[str, int | str] | None) -> tuple[str, ...]:
    return tuple(f"{key}={value}" for key, value in (settings or {}).items())


def _work(jobs: int, cache: bool | File, progress: Listener | None) -> Work:
    if jobs < 1:
        raise UsageError(f"jobs is {jobs}: at least one process works")
    kept = (default_cache() if cache else None) if isinstance(cache, bool) else Cache(Path(cache))
    return Work(jobs, kept, progress)
