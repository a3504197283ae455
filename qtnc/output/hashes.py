"""Hashes of what a compile is made from: the model, the files that hold its weights, and the data; read once."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from qtnc.importers.tensors import external_files
from qtnc.spec.program import Spec
from qtnc.work.digest import code_of
from qtnc.work.files import sha256


@dataclass(frozen=True)
class Hashes:
    """Hex SHA-256 of the model, of the files beside it by their names, of the data and of what is used by theirs."""

    model: str
    beside: Mapping[str, str]
    data: Mapping[str, str]
    used: Mapping[str, str] = field(default_factory=dict)

    def by_name(self, model_name: str) -> Mapping[str, str]:
        """All of them in one table, as a plan keeps them."""
        data = {f"data {name}": found for name, found in self.data.items()}
        used = {f"use {name}": found for name, found in self.used.items()}
        return {model_name: self.model, **self.beside, **data, **used}


def hashes_of(model_path: Path, spec: Spec) -> Hashes:
    """Hash every file."""
    data = {declared.name: sha256(declared.path) for declared in spec.data.values()}
    return Hashes(sha256(model_path), data_hashes(model_path), data, used_hashes(spec))


def used_hashes(spec: Spec) -> dict[str, str]:
    """Hashes of what a spec uses, by name: of a file its text as it ran, of a package's pass options and source."""
    found = {use.name: use.sha256 for use in spec.uses if use.sha256}
    for use in spec.uses:
        for offer, options in use.passes if not use.sha256 else ():
            made_of = json.dumps([code_of(offer.module), dict(options)], sort_keys=True)
            found[use.name] = hashlib.sha256(made_of.encode()).hexdigest()
    return found


def data_hashes(model_path: Path) -> dict[str, str]:
    """Hashes of the files beside a model that hold its weights."""
    return {file.relative_to(model_path.parent).as_posix(): sha256(file) for file in external_files(model_path)}
