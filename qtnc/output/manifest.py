"""The manifest: what an output folder was made from, and what must hold of it. No timings, no absolute paths."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from qtnc.errors import Diagnostic, OutputError
from qtnc.spec.program import Spec

FORMAT = 1
FILE = "manifest.json"
LIBRARIES = ("qtnc", "numpy", "onnx", "onnx-ir", "onnxruntime", "opt-einsum", "scipy", "torch")


@dataclass(frozen=True)
class Check:
    """One ``verify`` statement, its data by a path relative to the output folder."""

    tolerance: float | None
    data: str | None
    path: str | None
    take: int | None
    sha256: str | None


@dataclass(frozen=True)
class Manifest:
    """An output folder's manifest as read back."""

    original: str
    original_sha256: str
    backends: tuple[str, ...]
    binds: Mapping[str, int]
    checks: tuple[Check, ...]
    files: Mapping[str, str]


def checks_of(spec: Spec, out: Path) -> tuple[Check, ...]:
    """What ``qtnc verify`` will repeat; without a ``verify`` statement the errors on seeded inputs are reported."""
    if not spec.verifies:
        return (Check(None, None, None, None, None),)
    found = []
    for verify in spec.verifies:
        data = spec.data[verify.data] if verify.data else None
        if data is None:
            found.append(Check(verify.tolerance, None, None, None, None))
        else:
            path = _relative(data.path, out)
            found.append(Check(verify.tolerance, data.name, path, data.take, sha256(data.path)))
    return tuple(found)


def write_manifest(
    folder: Path, model_path: Path, spec: Spec, checks: tuple[Check, ...], backends: list[str], out: Path
) -> None:
    """Write ``manifest.json`` over the files that are in ``folder``, which will become ``out``."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    content: dict[str, Any] = {
        "format": FORMAT,
        "versions": {name: version(name) for name in LIBRARIES},
        "seed": 0,
        "model": {"path": _relative(model_path, out), "sha256": sha256(model_path)},
        "spec": {"name": Path(spec.source.name).name, "text": spec.source.text},
        "backends": backends,
        "binds": dict(spec.binds),
        "checks": [asdict(check) for check in checks],
        "files": {path.relative_to(folder).as_posix(): sha256(path) for path in files},
    }
    (folder / FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Read a manifest and check that the files it lists are unchanged.

    Raises
    ------
    OutputError
        If the folder has no readable manifest, or a file is missing or was changed.
    """
    path = folder / FILE
    if not path.is_file():
        raise OutputError(
            Diagnostic("not a folder that qtnc wrote: it has no manifest.json", place=str(folder), help="compile first")
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        manifest = Manifest(
            original=str(content["model"]["path"]),
            original_sha256=str(content["model"]["sha256"]),
            backends=tuple(content["backends"]),
            binds=dict(content["binds"]),
            checks=tuple(Check(**check) for check in content["checks"]),
            files=dict(content["files"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise OutputError(Diagnostic(f"damaged manifest: {error}", place=str(path), help="compile again")) from error
    changed = [name for name, digest in manifest.files.items() if _changed(folder, name, digest)]
    if changed:
        raise OutputError(
            *(Diagnostic("missing, or changed since it was compiled", place=str(folder / c)) for c in changed)
        )
    return manifest


def locate(out: Path, relative: str) -> Path:
    """Where a path of the manifest leads, whether or not ``out`` exists yet."""
    return Path(os.path.normpath(out.resolve() / relative))


def sha256(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _changed(folder: Path, name: str, digest: str) -> bool:
    path = folder / name
    inside = path.resolve().is_relative_to(folder.resolve())
    return not inside or not path.is_file() or sha256(path) != digest


def _relative(path: Path, out: Path) -> str:
    return Path(os.path.relpath(path.resolve(), out.resolve())).as_posix()
