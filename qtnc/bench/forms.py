"""The forms of a model that are timed: the original, the original in int8 as the baseline, and what was compiled."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx_ir as ir

from qtnc.calibrate.data import Feed
from qtnc.errors import Diagnostic, OutputError
from qtnc.output.beside import files_beside
from qtnc.output.manifest import read_manifest
from qtnc.planner.stopwatch import Run, seconds_of
from qtnc.report.write import folder_bytes, model_bytes
from qtnc.verify.check import read_original
from qtnc.verify.compare import Runner
from qtnc.verify.runners import emitted_runner, onnx_runner, original_runner, said

ORIGINAL = "original"
INT8 = "original int8"
"""Weights of products in int8, their inputs quantised as they come, by onnxruntime's own quantiser."""


@dataclass(frozen=True, eq=False)
class Forms:
    """What is compared: how each runs, bytes on disk, and what cannot be there and why."""

    model: ir.Model
    binds: Mapping[str, int]
    runners: Mapping[str, Runner]
    bytes: Mapping[str, int]
    missing: Mapping[str, str]

    def each(self, feed: Feed) -> dict[str, Run]:
        """Time one call of each form."""
        return {name: seconds_of(partial(run, feed)) for name, run in self.runners.items()}


def forms_of(out: Path, model_path: Path | None = None, threads: int = 1) -> Forms:
    """Load every form of a compiled model, in onnxruntime with that many threads.

    Raises
    ------
    OutputError
        If the folder is not whole, holds no model, or the original is not found.
    """
    manifest = read_manifest(out)
    original, model = read_original(out, manifest, model_path)
    ours = [name for name in ("onnx", "torch") if name in manifest.backends]
    if not ours:
        raise OutputError(Diagnostic("holds no model to time", place=str(out), help="add `emit onnx` to the spec"))
    runners: dict[str, Runner] = {ORIGINAL: original_runner(original, threads)}
    sizes, missing = {ORIGINAL: model_bytes(original)}, dict[str, str]()
    with TemporaryDirectory(prefix="qtnc-") as folder:
        path = Path(folder) / "int8.onnx"
        if reason := _quantised(original, path):
            missing[INT8] = reason
        else:
            runners[INT8], sizes[INT8] = onnx_runner(path, threads), folder_bytes(Path(folder))
    carried = files_beside(original).names
    for name in ours:
        runners[name] = emitted_runner(out, name, model, threads)
        sizes[name] = folder_bytes(out / name, carried)
    return Forms(model, manifest.binds, runners, sizes, missing)


def _quantised(original: Path, path: Path) -> str | None:
    """Write the baseline, or say why there is none."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.CRITICAL)  # it advises on models that are its own matter here
    try:
        quantize_dynamic(original, path, weight_type=QuantType.QInt8)
        onnx_runner(path)  # there are models that it writes and nothing loads
    except Exception as error:  # the quantiser raises whatever the model leads to
        return said(error)
    finally:
        logger.setLevel(before)
    return None
