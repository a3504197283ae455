"""Hashes of what a compile is made from: the model, the files that hold its weights, and the data; read once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from qtnc.importers.tensors import external_files
from qtnc.spec.program import Spec
from qtnc.work.files import sha256


@dataclass(frozen=True)
class Hashes:
    """Hex SHA-256 of the model, of the files beside it by their names, and of the data sets by theirs."""

    model: str
    beside: Mapping[str, str]
    data: Mapping[str, str]

    def by_name(self, model_name: str) -> Mapping[str, str]:
        """All of them in one table, as a plan keeps them."""
        return {model_name: self.model, **self.beside, **{f"data {name}": found for name, found in self.data.items()}}


def hashes_of(model_path: Path, spec: Spec) -> Hashes:
    """Hash every file."""
    data = {declared.name: sha256(declared.path) for declared in spec.data.values()}
    return Hashes(sha256(model_path), data_hashes(model_path), data)


def data_hashes(model_path: Path) -> dict[str, str]:
    """Hashes of the files beside a model that hold its weights."""
    return {file.relative_to(model_path.parent).as_posix(): sha256(file) for file in external_files(model_path)}
