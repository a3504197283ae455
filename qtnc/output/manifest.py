"""The manifest: what an output folder was made from, and what must hold of it.

The same inputs give the same manifest: it has no timings and no absolute paths, and lists the files of the backends
but not the reports, which hold timings.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from qtnc.backends.options import BACKENDS
from qtnc.errors import Diagnostic, OutputError
from qtnc.output.hashes import Hashes
from qtnc.spec.program import Spec
from qtnc.structures.plugins import packages_of
from qtnc.work.files import sha256

FORMAT = 1
FILE = "manifest.json"
MAIN = {"torch": "torch/model.py", "onnx": "onnx/model.onnx", "qiskit": "qiskit/resources.json"}
"""A file of each backend that is always there."""

T = TypeVar("T")

LONGEST_PATH, LONGEST_PART = 4095, 255
"""Bytes of a path, and of one of its parts."""

MOST = 1 << 63
"""That is counted."""

MOST_CHECKS = 1000
"""That are read of a manifest: each runs the model."""
LIBRARIES = ("qtnc", "numpy", "onnx", "onnx-ir", "onnxruntime", "opt-einsum", "scipy", "torch")


@dataclass(frozen=True)
class Check:
    """One ``verify`` statement, its data by a path relative to the output folder.

    ``narrow`` says that a backend was asked to compute in fewer bits than the model.
    """

    tolerance: float | None
    data: str | None
    path: str | None
    take: int | None
    sha256: str | None
    narrow: bool = False


@dataclass(frozen=True)
class Manifest:
    """An output folder's manifest as read back.

    Attributes
    ----------
    original, original_sha256 : path of the original model, relative to the folder, and its hash.
    original_data : hashes of the files beside the original that hold its weights, by their names.
    files : hashes of the emitted files, by their paths in the folder.
    uses : hashes of the files and passes of others that the spec uses, by their names.
    """

    original: str
    original_sha256: str
    original_data: Mapping[str, str]
    backends: tuple[str, ...]
    binds: Mapping[str, int]
    checks: tuple[Check, ...]
    files: Mapping[str, str]
    uses: Mapping[str, str] = field(default_factory=dict)


def checks_of(spec: Spec, out: Path, hashes: Hashes) -> tuple[Check, ...]:
    """What ``qtnc verify`` will repeat; without a ``verify`` statement the errors on seeded inputs are reported."""
    narrow = any(getattr(emit.options, "dtype", None) for emit in spec.emits)
    if not spec.verifies:
        return (Check(None, None, None, None, None, narrow),)
    found = []
    for verify in spec.verifies:
        data = spec.data[verify.data] if verify.data else None
        if data is None:
            found.append(Check(verify.tolerance, None, None, None, None, narrow))
        else:
            path = _relative(data.path, out)
            found.append(Check(verify.tolerance, data.name, path, data.take, hashes.data[data.name], narrow))
    return tuple(found)


def write_manifest(
    folder: Path,
    model_path: Path,
    spec: Spec,
    checks: tuple[Check, ...],
    hashes: Hashes,
    backends: list[str],
    out: Path,
    pipeline: str,
) -> None:
    """Write ``manifest.json`` over the files that are in ``folder``, which will become ``out``.

    ``pipeline`` are the passes that ran, as ``--pass-pipeline`` takes them.
    """
    files = sorted(path for backend in backends for path in (folder / backend).rglob("*") if path.is_file())
    content: dict[str, Any] = {
        "format": FORMAT,
        "versions": {name: version(name) for name in (*LIBRARIES, *_plugins(spec))},
        "seed": 0,
        "model": {"path": _relative(model_path, out), "sha256": hashes.model, "data": dict(hashes.beside)},
        "spec": {"name": Path(spec.source.name).name, "text": spec.source.text, "stage": spec.stage},
        "includes": {included.name: included.source.text for included in spec.includes},
        "uses": dict(hashes.used),
        "backends": backends,
        "binds": dict(spec.binds),
        "optimize": spec.optimize,
        "settings": dict(spec.settings),
        "pipeline": pipeline,
        "checks": [asdict(check) for check in checks],
        "files": {path.relative_to(folder).as_posix(): sha256(path) for path in files},
    }
    (folder / FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _plugins(spec: Spec) -> tuple[str, ...]:
    """Packages of the structures that the rewrites name, and of the passes that are used."""
    structures = [rewrite.structure for rewrite in spec.rewrites]
    inner = [structure.inner for structure in structures if getattr(structure, "inner", None)]
    packages = {offer.package for use in spec.uses for offer, _ in use.passes if offer.package}
    return tuple(sorted({*packages, *packages_of(structure.name for structure in (*structures, *inner))}))


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
        manifest = _parse(json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise OutputError(Diagnostic(f"damaged manifest: {reason}", place=str(path), help="compile again")) from error
    except OSError as error:
        raise OutputError(Diagnostic(f"cannot be read: {error.strerror}", place=str(path))) from error
    unlisted = [MAIN[backend] for backend in manifest.backends if MAIN[backend] not in manifest.files]
    changed = [name for name, digest in manifest.files.items() if _changed(folder, name, digest)] + unlisted
    if changed:
        raise OutputError(
            *(Diagnostic("missing, or changed since it was compiled", place=str(folder / c)) for c in changed)
        )
    return manifest


def locate(out: Path, relative: str) -> Path:
    """Where a path of the manifest leads, whether or not ``out`` exists yet."""
    return Path(os.path.normpath(out.resolve() / relative))


def _parse(content: Any) -> Manifest:
    """Take what has the right type; whatever else is found raises what reading it raises."""
    if content["format"] != FORMAT:
        raise ValueError(f"format {content['format']!r}, this qtnc reads {FORMAT}")
    return Manifest(
        original=_path(content["model"]["path"]),
        original_sha256=_as(str, content["model"]["sha256"]),
        original_data=_table(str, content["model"]["data"]),
        backends=tuple(map(_backend, _as(list, content["backends"]))),
        binds={name: _count(size) for name, size in _as(dict, content["binds"]).items()},
        checks=_checks(content["checks"]),
        files={_path(name): digest for name, digest in _table(str, content["files"]).items()},
        uses=_table(str, content.get("uses", {})),
    )


def _checks(content: Any) -> tuple[Check, ...]:
    if len(_as(list, content)) > MOST_CHECKS:
        raise ValueError(f"{len(content):,} checks; there may be {MOST_CHECKS:,}")
    return tuple(map(_check, content))


def _check(content: Any) -> Check:
    check = Check(**_as(dict, content))
    _as(bool, check.narrow)
    for value, kind in ((check.tolerance, float), (check.data, str), (check.path, str), (check.take, int)):
        if value is not None:
            _as(kind, value)
    if check.take is not None:
        _count(check.take)
    if (check.data is None) != (check.path is None):
        raise ValueError("a check names data without a path")
    if check.path is not None:
        _path(check.path)
    return check


def _backend(content: Any) -> str:
    if content not in BACKENDS:
        raise ValueError(f"backend {str(content)[:40]!r} is not known")
    return str(content)


def _path(content: Any) -> str:
    """A path that a system may be asked for."""
    parts = os.fsencode(_as(str, content)).split(b"/")
    if b"\0" in os.fsencode(content) or sum(map(len, parts)) > LONGEST_PATH or max(map(len, parts)) > LONGEST_PART:
        raise ValueError(f"{content[:40]!r} is no path")
    return str(content)


def _count(content: Any) -> int:
    if not 0 < _as(int, content) < MOST:
        raise ValueError(f"{str(content)[:40]} is no count")
    return int(content)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def _table(kind: type[T], content: Any) -> dict[str, T]:
    return {key: _as(kind, value) for key, value in _as(dict, content).items()}


def _as(kind: type[T], value: Any) -> T:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"{str(value)[:40]!r} where a {kind.__name__} belongs")
    return value


def _changed(folder: Path, name: str, digest: str) -> bool:
    path = folder / name
    inside = path.resolve().is_relative_to(folder.resolve())
    return not inside or not path.is_file() or sha256(path) != digest


def _relative(path: Path, out: Path) -> str:
    return Path(os.path.relpath(path.resolve(), out.resolve())).as_posix()
