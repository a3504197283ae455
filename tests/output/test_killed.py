"""A compile killed at any moment: OUT is absent, as it was, or whole, and the next run leaves nothing beside it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SWEEP = Path(__file__).with_name("killing.py")


def sweep(place: Any, kills: int, *options: str) -> dict[str, int]:
    arguments = [place.model, place.spec, place.out, str(kills), *options]
    done = subprocess.run([sys.executable, SWEEP, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("force", ["", "--force"])
def test_killed_at_a_few_moments(force: str, place: Any) -> None:
    (place.folder / "tokenizer.json").write_text("[0]" * 100_000)  # carried along, and so half there at times
    sweep(place, 6, force)


def test_killed_with_workers(place: Any) -> None:
    """Two weights, so that each has a worker, which ends with the compile."""
    place.spec.write_text(place.spec.read_text().replace('"up"', '"*"'))
    sweep(place, 4, "--force", "--jobs=2", "--no-cache")


@pytest.mark.conformance
@pytest.mark.parametrize(
    "options", [[], ["--force"], ["--jobs=2", "--no-cache"], ["--force", "--jobs=2", "--no-cache"]]
)
def test_killed_at_fifty_moments(options: list[str], place: Any) -> None:
    place.spec.write_text(place.spec.read_text().replace('"up"', '"*"'))
    assert sweep(place, 50, *options)["left"] > 0  # some fell while the folder was being written


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
