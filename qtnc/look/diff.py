"""Two compiled folders side by side: what each layer became, and what that bought and cost."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtnc.errors import Diagnostic, OutputError
from qtnc.output.manifest import Manifest, read_manifest
from qtnc.planner.plan import LayerPlan, Plan
from qtnc.planner.recorded import read_plan


@dataclass(frozen=True)
class Folder:
    """What a compiled folder says of itself.

    Attributes
    ----------
    errors : of the layers that were rewritten, as measured by the fit.
    sizes : bytes on disk by backend, and of the original.
    verified : for every ``verify``, or the seeded inputs: name of the data and largest error; None where unbounded.
    """

    path: Path
    plan: Plan
    errors: Mapping[str, float]
    sizes: Mapping[str, int]
    verified: tuple[tuple[str, float | None], ...]

    @property
    def layers(self) -> Mapping[str, LayerPlan]:
        """Entries of the plan by layer."""
        return {entry.layer: entry for entry in self.plan.layers}


@dataclass(frozen=True)
class Difference:
    """Two folders of one model, and the layers that became something else in them."""

    first: Folder
    second: Folder

    @property
    def layers(self) -> tuple[str, ...]:
        """Layers that are not the same in both, in the order of the first."""
        ours, theirs = self.first.layers, self.second.layers
        return tuple(name for name in {**ours, **theirs} if _what(ours.get(name)) != _what(theirs.get(name)))


def diff(first: Path, second: Path) -> Difference:
    """Read two folders.

    Raises
    ------
    OutputError
        If one is none that qtnc wrote, is not whole, or they are of different models.
    """
    manifests = read_manifest(first), read_manifest(second)
    _check_same(first, second, *manifests)
    return Difference(_read(first), _read(second))


def _what(entry: LayerPlan | None) -> Any:
    return ("dense", {}, "") if entry is None else (entry.structure, entry.settled, entry.metric)


def _check_same(first: Path, second: Path, one: Manifest, other: Manifest) -> None:
    if one.original_sha256 != other.original_sha256:
        message = f"not compiled from the model that {first} was compiled from"
        raise OutputError(Diagnostic(message, place=str(second)))


def _read(folder: Path) -> Folder:
    path = folder / "report.json"
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        errors = {str(layer["layer"]): float(layer["error"]) for layer in report["layers"]}
        sizes = {str(name): int(size) for name, size in report["bytes_on_disk"].items()}
        verified = tuple((str(x["data"]), None if x["worst"] is None else float(x["worst"])) for x in report["verify"])
    except OSError as error:
        raise OutputError(Diagnostic(f"cannot be read: {error.strerror}", place=str(path))) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise OutputError(Diagnostic(f"damaged report: {error}", place=str(path), help="compile again")) from error
    return Folder(folder, read_plan(folder / "plan.json").plan, errors, sizes, verified)
