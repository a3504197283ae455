"""Check an output folder against the original: every backend, every ``verify`` statement."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import Path

import onnx_ir as ir

from qtnc.calibrate.data import Feed, load_npz
from qtnc.calibrate.session import check_fits
from qtnc.errors import DataError, Diagnostic, OutputError, VerifyError
from qtnc.importers.onnx import read_model
from qtnc.output.hashes import data_hashes
from qtnc.output.manifest import Check, Manifest, locate, read_manifest
from qtnc.verify.compare import Outputs, Runner, relative_errors, worst
from qtnc.verify.runners import emitted_runner, original_runner, said
from qtnc.verify.seeded import seeded_feed
from qtnc.verify.verdict import Verdict, agreement_of
from qtnc.work.files import sha256

BATCH = 8
"""Samples that run at a time: memory stays that of one batch."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a check runs on; ``missing`` says why there is nothing where the spec asks for nothing."""

    check: Check
    feeds: tuple[Feed, ...]
    missing: str | None = None


def verify_folder(folder: Path, model_path: Path | None = None) -> tuple[Verdict, ...]:
    """Verify a compiled folder again, from the files on disk; its ``torch/model.py`` is imported, and so runs.

    Raises
    ------
    OutputError
        If the folder is not whole, or the original is not where the manifest says and ``model_path`` is None.
    VerifyError
        If what was emitted does not run.
    """
    manifest = read_manifest(folder)
    original, model = read_original(folder, manifest, model_path)
    inputs = feeds_of(manifest.checks, folder, model, manifest.binds)
    return check_folder(folder, manifest.backends, model, original, inputs)


def read_original(folder: Path, manifest: Manifest, model_path: Path | None) -> tuple[Path, ir.Model]:
    """Read the model that a folder was compiled from, where the manifest says or at ``model_path``.

    Raises
    ------
    OutputError
        If it is not there, or is another.
    """
    original = model_path or locate(folder, manifest.original)
    if not original.is_file():
        raise OutputError(
            Diagnostic(
                f"the original model is not at {model_path or manifest.original}",
                place=str(folder),
                help="name it by --model",
            )
        )
    if sha256(original) != manifest.original_sha256:
        raise OutputError(Diagnostic("this is not the model that was compiled: its hash differs", place=str(original)))
    model = read_model(original)
    if data_hashes(original) != manifest.original_data:
        reason = "the weights beside this model are not those that were compiled: their hash differs"
        raise OutputError(Diagnostic(reason, place=str(original)))
    return original, model


def feeds_of(checks: Sequence[Check], base: Path, model: ir.Model, binds: Mapping[str, int]) -> tuple[Inputs, ...]:
    """Inputs of every check; data paths start at ``base``.

    Raises
    ------
    DataError
        If data is missing, has changed or does not fit, or if a check without data has a tolerance and no inputs can
        be made up.
    """
    return tuple(_inputs(check, base, model, binds) for check in checks)


def check_folder(
    folder: Path, backends: Sequence[str], model: ir.Model, original: Path, checks: Sequence[Inputs]
) -> tuple[Verdict, ...]:
    """Measure every check on the files in ``folder``; ``model`` is what was read of ``original``."""
    check_fits(model, str(original))
    truth = original_runner(original)  # first: what it cannot run, nothing that is made of it can
    others = _runners(folder, backends, model)
    agreement = agreement_of(model, narrow=any(check.check.narrow for check in checks))
    return tuple(replace(_verdict(inputs, truth, others), agreement=agreement) for inputs in checks)


def _verdict(inputs: Inputs, truth: Runner, others: Mapping[str, Runner]) -> Verdict:
    data = inputs.check.data or "seeded"
    if not inputs.feeds:
        return Verdict(data, inputs.check.tolerance, {}, 0.0, inputs.missing)
    errors = relative_errors(truth, others, inputs.feeds)
    apart = [relative_errors(others[a], {b: others[b]}, inputs.feeds)[b] for a, b in combinations(others, 2)]
    return Verdict(data, inputs.check.tolerance, errors, worst(worst(a) for a in apart))


def _runners(folder: Path, backends: Sequence[str], model: ir.Model) -> dict[str, Runner]:
    places = {"torch": folder / "torch", "onnx": folder / "onnx" / "model.onnx"}
    wanted = {backend: place for backend, place in places.items() if backend in backends}
    return {name: _emitted(place, partial(emitted_runner, folder, name, model)) for name, place in wanted.items()}


def _emitted(path: Path, load: Callable[[], Runner]) -> Runner:
    """Run what was written; it raises whatever is wrong with it, and that it does not run is a failed verification."""

    def fails(error: Exception) -> VerifyError:
        return VerifyError(Diagnostic(f"it does not run: {said(error)}", place=str(path), help="compile again"))

    try:
        run = load()
    except (MemoryError, VerifyError):
        raise
    except Exception as error:
        raise fails(error) from error

    def attempt(feed: Feed) -> Outputs:
        try:
            return run(feed)
        except MemoryError:
            raise
        except Exception as error:
            raise fails(error) from error

    return attempt


def _inputs(check: Check, base: Path, model: ir.Model, binds: Mapping[str, int]) -> Inputs:
    if check.data is None or check.path is None:
        try:
            return Inputs(check, (seeded_feed(model, binds),))
        except DataError as error:
            if check.tolerance is not None:
                raise
            return Inputs(check, (), error.diagnostics[0].message)
    path = locate(base, check.path)
    if path.is_file() and sha256(path) != check.sha256:
        raise DataError(Diagnostic(f"data `{check.data}` has changed since the compile", place=str(path)))
    return Inputs(check, tuple(load_npz(check.data, path, check.take, model).batches(BATCH)))
