"""A compile killed at any moment: OUT is absent, as it was, or whole, and the next run leaves nothing beside it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SWEEP = Path(__file__).with_name("killing.py")


def sweep(place: Any, kills: int, force: str) -> dict[str, int]:
    arguments = [place.model, place.spec, place.out, str(kills), force]
    done = subprocess.run([sys.executable, SWEEP, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("force", ["", "--force"])
def test_killed_at_a_few_moments(force: str, place: Any) -> None:
    (place.folder / "tokenizer.json").write_text("[0]" * 100_000)  # carried along, and so half there at times
    sweep(place, 6, force)


@pytest.mark.conformance
@pytest.mark.parametrize("force", ["", "--force"])
def test_killed_at_many_moments(force: str, place: Any) -> None:
    assert sweep(place, 40, force)["left"] > 0  # some fell while the folder was being written


def test_killed_by_a_limit_on_file_sizes(place: Any) -> None:
    """A disk that is full: what cannot be written is said, and nothing is left."""
    code = (
        "import resource, sys; from qtnc.cli import main; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500)); sys.exit(main(sys.argv[1:]))"
    )
    arguments = ["compile", place.model, place.spec, "-o", place.out]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stderr == f"{place.out}: error: cannot be written: File too large\n"
    assert sorted(path.name for path in Path(place.folder).iterdir()) == ["model.onnx", "spec.qtn"]
