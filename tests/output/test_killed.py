"""A compile killed at any moment: OUT is absent, as it was, or whole, and the next run leaves nothing beside it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SWEEP = '''
import hashlib, json, os, signal, sys, time
from pathlib import Path
from qtnc.cli import main
import qtnc.compiler, torch

model, spec, out, kills, force = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
command = ["compile", str(model), str(spec), "-o", str(out), *([force] if force else [])]


def start():
    """Compile in a fork, which has everything imported already."""
    process = os.fork()
    if not process:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(main(command))
    return process


def check(folder):
    """Whether a folder is whole: every file that its manifest names is there and is what it was."""
    files = json.loads((folder / "manifest.json").read_text())["files"]
    reports = {"manifest.json", "plan.json", "report.json", "report.html"}
    assert {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} == set(files) | reports
    assert all(hashlib.sha256((folder / f).read_bytes()).hexdigest() == h for f, h in files.items())


begin = time.perf_counter()
assert os.waitpid(start(), 0)[1] == 0
whole = time.perf_counter() - begin
check(out)
states = {"absent": 0, "whole": 0, "left": 0}
for k in range(kills):
    old = force and os.stat(out).st_ino
    if not force:
        import shutil
        shutil.rmtree(out, ignore_errors=True)
    process = start()
    time.sleep(whole * (k + 0.5) / kills)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    states["left"] += len([n for n in os.listdir(out.parent) if n.startswith(".out.")]) > 0
    if out.exists():
        check(out)
        states["whole"] += 1
    else:
        assert not force
        states["absent"] += 1
if not force:
    import shutil
    shutil.rmtree(out, ignore_errors=True)
assert os.waitpid(start(), 0)[1] == 0
check(out)
assert sorted(os.listdir(out.parent)) == sorted([model.name, spec.name, out.name]), os.listdir(out.parent)
print(json.dumps(states))
'''


def sweep(place: Any, kills: int, force: str) -> dict[str, int]:
    arguments = [place.model, place.spec, place.out, str(kills), force]
    done = subprocess.run([sys.executable, "-c", SWEEP, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("force", ["", "--force"])
def test_killed_at_a_few_moments(force: str, place: Any) -> None:
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
