"""Check an output folder against the original: every backend, every ``verify`` statement."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import onnx_ir as ir

from qtnc.calibrate.data import DataSet, load_npz
from qtnc.errors import DataError, Diagnostic, OutputError
from qtnc.importers.onnx import read_model
from qtnc.output.manifest import Check, locate, read_manifest, sha256
from qtnc.verify.compare import Runner, relative_errors, worst
from qtnc.verify.runners import onnx_runner, torch_runner
from qtnc.verify.seeded import seeded_data
from qtnc.verify.verdict import Verdict


def verify_folder(folder: Path, model_path: Path | None = None) -> tuple[Verdict, ...]:
    """Verify a compiled folder again, from the files on disk.

    Raises
    ------
    OutputError
        If the folder is not whole, or the original is not where the manifest says and ``model_path`` is None.
    """
    manifest = read_manifest(folder)
    original = model_path or locate(folder, manifest.original)
    if not original.is_file():
        raise OutputError(
            Diagnostic(
                f"the original model is not at {manifest.original}", place=str(folder), help="name it by --model"
            )
        )
    if sha256(original) != manifest.original_sha256:
        raise OutputError(Diagnostic("this is not the model that was compiled: its hash differs", place=str(original)))
    return check_folder(folder, manifest.backends, original, manifest.checks, folder, manifest.binds)


def check_folder(
    folder: Path,
    backends: Sequence[str],
    original: Path,
    checks: Sequence[Check],
    base: Path,
    binds: Mapping[str, int],
) -> tuple[Verdict, ...]:
    """Measure every check on the files in ``folder``; data paths start at ``base``."""
    model = read_model(original)
    others = _runners(folder, backends, model)
    truth = onnx_runner(original)
    return tuple(_verdict(check, truth, others, _data(check, base, model, binds)) for check in checks)


def _verdict(check: Check, truth: Runner, others: Mapping[str, Runner], data: DataSet) -> Verdict:
    errors = relative_errors(truth, others, data)
    apart = [relative_errors(others[a], {b: others[b]}, data)[b] for a, b in combinations(others, 2)]
    return Verdict(data.name, check.tolerance, errors, worst(worst(a) for a in apart))


def _runners(folder: Path, backends: Sequence[str], model: ir.Model) -> dict[str, Runner]:
    inputs, outputs = ([str(v.name) for v in values] for values in (model.graph.inputs, model.graph.outputs))
    found: dict[str, Runner] = {}
    if "torch" in backends:
        found["torch"] = torch_runner(folder / "torch", inputs, outputs)
    if "onnx" in backends:
        found["onnx"] = onnx_runner(folder / "onnx" / "model.onnx")
    return found


def _data(check: Check, base: Path, model: ir.Model, binds: Mapping[str, int]) -> DataSet:
    if check.data is None or check.path is None:
        return seeded_data(model, binds)
    path = locate(base, check.path)
    data = load_npz(check.data, path, check.take, model)
    if check.sha256 != sha256(path):
        raise DataError(Diagnostic(f"data `{check.data}` has changed since the compile", place=str(path)))
    return data
