"""Reports of a compile: plan.json, report.json and report.html."""

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from qtnc.importers.tensors import external_files
from qtnc.output.beside import files_beside
from qtnc.pipeline import Ran
from qtnc.planner.plan import Plan, finite
from qtnc.report.html import html_page
from qtnc.report.times import distinct
from qtnc.rewrite.decision import Rewritten
from qtnc.verify.halved import Halved
from qtnc.verify.speed import Speed
from qtnc.verify.verdict import Verdict

FORMAT = 1


def write_reports(
    folder: Path,
    plan: Plan,
    ran: Sequence[Ran],
    verdicts: Sequence[Verdict],
    backends: Sequence[str],
    original: Path,
    speeds: Sequence[Speed] = (),
    halved: Halved | None = None,
) -> None:
    """Write ``plan.json`` (what was decided), ``report.json`` and ``report.html`` (what came out, with timings).

    ``halved`` is the baseline of what comes out in float16.
    """
    carried = files_beside(original).names  # of the original they are not counted either
    sizes = {backend: folder_bytes(folder / backend, carried) for backend in backends}
    original_bytes = model_bytes(original)
    _write(folder / "plan.json", plan.to_json())
    report = {
        "format": FORMAT,
        "parameters": {"original": plan.model_parameters, "compiled": plan.parameters},
        "bytes_on_disk": {"original": original_bytes, **sizes},
        "layers": [finite(asdict(note)) for step in ran for note in step.notes if isinstance(note, Rewritten)],
        "verify": [verdict.to_json() for verdict in verdicts],
        "original_float16": finite(halved.to_json()) if halved else None,
        "speed": [speed.to_json() for speed in speeds],
        "times": [each.to_json() for each in distinct(plan)],
        "passes": [{"name": step.name, "modified": step.modified, "seconds": step.seconds} for step in ran],
    }
    _write(folder / "report.json", report)
    page = html_page(plan, ran, verdicts, sizes, original_bytes, speeds, halved)
    (folder / "report.html").write_text(page, encoding="utf-8")


def folder_bytes(folder: Path, carried: Collection[str] = ()) -> int:
    """Bytes of all files in a folder, without those at its top that were only carried along."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files if path.parent != folder or path.name not in carried)


def model_bytes(path: Path) -> int:
    """Bytes of an ONNX model with its external data."""
    beside = external_files(path)
    return path.stat().st_size + sum(file.stat().st_size for file in beside)


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")
