"""The command line run on hostile input: what it did, what it said, and that it did nothing else."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

SANDBOX = Path(__file__).with_name("sandbox.py")
HERE = ("names", "bombs")
"""Files that make hostile input."""

MEMORY = 1 << 30
"""Bytes of its own that a command may take on a model of a few kilobytes, beyond what is imported."""

SECONDS = 60

ERROR = re.compile(r"^(?:.*: )?error: ", re.MULTILINE)
"""First line of a diagnostic; further lines are indented."""


@dataclass(frozen=True)
class Done:
    """One command that ran: exit code (negative for a signal), what it printed, seconds, bytes resident at most."""

    code: int
    out: str
    err: str
    seconds: float
    peak: int

    @property
    def errors(self) -> list[str]:
        """Every error that was printed, its first line."""
        return [line for line in self.err.splitlines() if ERROR.match(line)]


class Sandbox:
    """A folder to work in, and commands that may change nothing else."""

    def __init__(self, server: "subprocess.Popen[str]", folder: Path) -> None:
        self.server, self.folder = server, folder
        self.work, self.secret = folder / "work", folder.with_name(f"{folder.name}-secret")
        for path in (self.work, folder / "said", folder / "tmp", self.secret):
            path.mkdir(parents=True)
        (self.secret / "key").write_bytes(b"secret" * 4096)

    def attempt(self, *arguments: Any, memory: int = MEMORY, seconds: float = SECONDS) -> Done:
        """Run a command, whatever comes of it."""
        request = {
            "arguments": [str(a) for a in arguments],
            "folder": str(self.folder),
            "secret": str(self.secret),
            "memory": memory,
            "seconds": seconds,
        }
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        told = json.loads(self.server.stdout.readline())
        said = [(self.folder / "said" / name).read_bytes().decode() for name in ("out", "err", "audit")]
        assert not told["late"], f"{arguments}: no end after {seconds} s"
        assert said[2] == "", f"{arguments}: {said[2]}"
        return Done(told["code"], said[0], said[1], told["seconds"], told["peak"])

    def run(self, *arguments: Any, memory: int = MEMORY, seconds: float = SECONDS) -> Done:
        """Run a command that must end well or with errors meant for the user, and print nothing that acts."""
        done = self.attempt(*arguments, memory=memory, seconds=seconds)
        assert done.code in (0, 1, 2, 3), f"{arguments}: {done}"
        assert "Traceback" not in done.err, f"{arguments}: {done.err}"
        for text in (done.out, done.err):
            acting = {char for char in text if not char.isprintable()} - {"\n", "\t"}
            assert not acting, f"{arguments}: {acting} in {text[:2000]!r}"
        assert done.errors or done.code == 0, f"{arguments}: {done}"
        assert not list((self.folder / "tmp").iterdir())
        return done


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator["subprocess.Popen[str]"]:
    """The process that forks. Fits and Qiskit's list of its plug-ins are kept in the user's cache, elsewhere here."""
    cache = str(tmp_path_factory.mktemp("cache"))
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "XDG_CACHE_HOME": cache, "QTNC_CACHE_DIR": f"{cache}/qtnc"}
    command = [sys.executable, "-W", "ignore", str(SANDBOX)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def sandbox(server: "subprocess.Popen[str]", tmp_path: Path) -> Iterator[Sandbox]:
    """A folder of its own for each test."""
    box = Sandbox(server, tmp_path / "box")
    yield box
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture(scope="session")
def hostile() -> SimpleNamespace:
    """All that makes hostile input, and the sandbox to run it in."""
    found: dict[str, Any] = {"Sandbox": Sandbox}
    for name in HERE:
        spec = importlib.util.spec_from_file_location(f"hostile_{name}", SANDBOX.with_name(f"{name}.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found |= {key: value for key, value in vars(module).items() if not key.startswith("_")}
    return SimpleNamespace(**found)
