"""Kill a compile at many moments: ``killing.py MODEL SPEC OUT KILLS [OPTIONS]``; prints what was found after each."""

import hashlib
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import torch  # noqa: F401

import qtnc.compiler  # noqa: F401 - the forks are to have everything imported
from qtnc.cli import main

REPORTS = {"manifest.json", "plan.json", "report.json", "report.html"}


def start(command: list[str]) -> int:
    """Compile in a fork."""
    process = os.fork()
    if not process:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(main(command))
    return process


def check(folder: Path) -> None:
    """Fail unless a folder is whole: every file that its manifest names is there, and is what it was."""
    files = json.loads((folder / "manifest.json").read_text())["files"]
    assert {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} == set(files) | REPORTS
    assert all(hashlib.sha256((folder / f).read_bytes()).hexdigest() == h for f, h in files.items())


def run(model: Path, spec: Path, out: Path, kills: int, options: list[str]) -> dict[str, int]:
    command = ["compile", str(model), str(spec), "-o", str(out), *options]
    force = "--force" in options
    given = set(os.listdir(out.parent))
    begin = time.perf_counter()
    assert os.waitpid(start(command), 0)[1] == 0
    whole = time.perf_counter() - begin
    found = {"absent": 0, "whole": 0, "left": 0}
    for k in range(kills):
        if not force:
            shutil.rmtree(out, ignore_errors=True)
        process = start(command)
        time.sleep(whole * (k + 0.5) / kills)
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        found["left"] += any(name.startswith(".out.") for name in os.listdir(out.parent))
        if out.exists():
            check(out)
            found["whole"] += 1
        else:
            assert not force
            found["absent"] += 1
    if not force:
        shutil.rmtree(out, ignore_errors=True)
    assert os.waitpid(start(command), 0)[1] == 0
    check(out)
    assert set(os.listdir(out.parent)) == {*given, out.name}
    return found


if __name__ == "__main__":
    print(json.dumps(run(*(Path(a) for a in sys.argv[1:4]), int(sys.argv[4]), [a for a in sys.argv[5:] if a])))
