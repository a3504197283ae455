"""What a plan was made from: hashes of the model, of the files that hold its weights, and of the data."""

from collections.abc import Mapping
from pathlib import Path

from qtnc.output.manifest import data_hashes, sha256
from qtnc.spec.program import Spec


def input_hashes(model_path: Path, spec: Spec) -> Mapping[str, str]:
    """Hex SHA-256 of each file, by its name; a data set goes by its own."""
    data = {f"data {declared.name}": sha256(declared.path) for declared in spec.data.values()}
    return {model_path.name: sha256(model_path), **data_hashes(model_path), **data}
