"""The baseline of what comes out in float16: the original itself in float16."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from qtnc.backends.onnx import write_onnx
from qtnc.importers.onnx import read_model
from qtnc.passes.to_float16 import ToFloat16
from qtnc.pipeline import Pipeline
from qtnc.road.road import read_road
from qtnc.verify.check import Inputs
from qtnc.verify.compare import relative_errors
from qtnc.verify.runners import onnx_runner, original_runner


@dataclass(frozen=True)
class Halved:
    """Bytes of the original in float16 as an ONNX file, and relative errors of its outputs by data."""

    bytes: int
    errors: Mapping[str, Mapping[str, float]]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"bytes": self.bytes, "errors": {data: dict(outputs) for data, outputs in self.errors.items()}}


def halved_original(original: Path, checks: Sequence[Inputs]) -> Halved | None:
    """Measure the baseline; None where no backend was asked for fewer bits."""
    if not any(inputs.check.narrow for inputs in checks):
        return None
    passes = (*read_road().prepare({}), ToFloat16())
    with TemporaryDirectory(prefix="qtnc-") as folder:
        path = Path(folder) / "model.onnx"
        write_onnx(Pipeline(passes).run(read_model(original)).model, path)
        truth, half = original_runner(original), {"half": onnx_runner(path)}
        errors = {x.check.data or "seeded": relative_errors(truth, half, x.feeds)["half"] for x in checks if x.feeds}
        return Halved(sum(file.stat().st_size for file in Path(folder).iterdir()), errors)
