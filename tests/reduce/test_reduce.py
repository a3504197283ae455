"""Failures made small: by real commands, and by stand-ins where only the search matters."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from qtnc.reduce.trial import Outcome

Run = Callable[..., Any]

SPEC = """# what fails
qtn 1
use "mine.py"
data calib = npz("calib.npz")
let share = 30%
bind batch = 4
optimize memory
select wide  = MatMul where weight.columns >= 16
select other = MatMul and not wide
stage one {
    rewrite wide -> lowrank(bytes: share) on calib
}
emit torch
emit onnx
verify outputs within 90% on calib
"""

MINE = """
from dataclasses import dataclass
from typing import ClassVar
from qtnc.pipeline import PassResult

@dataclass(frozen=True)
class Mine:
    name: ClassVar[str] = "mine"
    def run(self, model):
        for node in model.graph:
            if node.op_type == "Relu":
                raise KeyError("no relu")
        return PassResult(model, False)

PASSES = [Mine]
"""


@pytest.fixture
def home(place: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A spec that uses a pass which fails, and data."""
    place.spec.write_text(SPEC)
    (place.folder / "mine.py").write_text(MINE)
    np.savez(place.folder / "calib.npz", x=np.ones((32, 16), np.float32))
    monkeypatch.chdir(place.folder)
    return place


@pytest.mark.conformance
def test_a_pass_that_fails(qtnc: Run, home: Any) -> None:
    small = home.folder / "small"
    home.spec.write_text('qtn 1\nuse "mine.py"\ndata calib = npz("calib.npz")\nselect all = MatMul\nemit onnx\n')
    done = qtnc("reduce", home.model, home.spec, "-o", small, "--command", "plan")
    assert done.code == 0, done.err
    assert "before: 3 nodes, 2,304 bytes of weights, 4 statements\n" in done.out
    assert "1 node, 0 bytes of weights, 2 statements\n" in done.out
    assert "exit code 1: mine.py:12: error: pass `mine` of mine.py failed: KeyError: 'no relu'\n" in done.out
    assert sorted(path.name for path in small.iterdir()) == ["README.md", "mine.py", "model.onnx", "spec.qtn"]
    assert [node.op_type for node in onnx.load(small / "model.onnx").graph.node] == ["Relu"]
    assert (small / "spec.qtn").read_text().splitlines()[:2] == ["qtn 1", 'use "mine.py"']
    assert "    qtnc plan model.onnx spec.qtn\n" in (small / "README.md").read_text()
    again = qtnc("plan", small / "model.onnx", small / "spec.qtn")
    assert (again.code, "no relu" in again.err) == (1, True)
    assert sorted(p.name for p in home.folder.iterdir()) == ["calib.npz", "mine.py", "model.onnx", "small", "spec.qtn"]


def test_what_is_included_is_made_small_too(stand_in: Any, qtnc: Run, home: Any) -> None:
    rules = {name: f"rule {name} {{\n    match   y = Relu(x)\n    replace y = Abs(x)\n}}\n" for name in "abc"}
    (home.folder / "inner.qtn").write_text("qtn 1\n" + rules["c"])
    (home.folder / "rules.qtn").write_text('qtn 1\ninclude "inner.qtn"\n' + rules["a"] + rules["b"])
    home.spec.write_text('qtn 1\ninclude "rules.qtn"\nselect all = MatMul\nemit onnx\n')

    def says(path: Path) -> str:
        text = path.read_text()
        inner = [name for name in ("rules.qtn", "inner.qtn") if f'include "{name}"' in text]
        return text + "".join(says(path.with_name(name)) for name in inner)

    stand_in(lambda folder: FAILED if "rule c" in says(folder / "spec.qtn") else FINE)
    done = qtnc("reduce", home.model, home.spec, "-o", home.out)
    assert done.code == 0, done.err
    assert (home.out / "spec.qtn").read_text() == "qtn 1\n" + rules["c"]
    assert sorted(path.name for path in home.out.glob("*.qtn")) == ["spec.qtn"]


def test_passes_of_opt(qtnc: Run, home: Any) -> None:
    small = home.folder / "small"
    pipeline = "canonicalize,mine"
    done = qtnc("reduce", home.model, "-o", small, "--use", "mine.py", "--arguments", f"--pass-pipeline {pipeline}")
    assert done.code == 0, done.err
    assert "    qtnc opt model.onnx --use mine.py --pass-pipeline mine\n" in (small / "README.md").read_text()
    assert "1 node, 0 bytes of weights, 1 pass\n" in done.out


def test_what_does_not_fail_is_said(qtnc: Run, home: Any) -> None:
    (home.folder / "mine.py").write_text(MINE.replace("Relu", "Nothing"))
    done = qtnc("reduce", home.model, home.spec, "-o", home.out, "--command", "check")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: the command does not fail\n")
    assert not home.out.exists()
    assert qtnc("reduce", home.model, "-o", home.out, "--command", "plan").code == 2
    assert qtnc("reduce", home.model, home.spec, "-o", home.out, "--command", "opt").code == 2
    done = qtnc("reduce", home.model, home.spec, "-o", home.folder)
    assert (done.code, "the folder is not empty" in done.err) == (1, True)
    done = qtnc("reduce", home.model, home.spec, "-o", home.folder, "--force")
    assert (done.code, "lies in the folder to be replaced" in done.err) == (1, True)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Path], Outcome]], list[Path]]:
    """Let a function of the folder say how a trial ends."""

    def put(judge: Callable[[Path], Outcome]) -> list[Path]:
        met: list[Path] = []

        def run(arguments: Sequence[str], folder: Path, seconds: float) -> Outcome:
            met.append(folder)
            return judge(folder)

        monkeypatch.setattr("qtnc.reduce.reduce.run", run)
        monkeypatch.setattr("qtnc.reduce.reduction.run", run)
        return met

    return put


FAILED, FINE = Outcome(70, "error: internal error: of 12 `x`"), Outcome(0, "")


def shapes(folder: Path) -> list[tuple[int, ...]]:
    return [tuple(weight.dims) for weight in onnx.load(folder / "model.onnx").graph.initializer]


def test_sizes_weights_rows_and_passes(stand_in: Any, qtnc: Run, home: Any) -> None:
    def judge(folder: Path) -> Outcome:
        spec = (folder / "spec.qtn").read_text()
        needed = "on calib" in spec and (folder / "calib.npz").is_file() and "emit onnx" in spec
        weights = [shape for shape in shapes(folder) if len(shape) == 2]
        return FAILED if needed and weights else FINE

    stand_in(judge)
    small = home.folder / "small"
    original = {w.name: onnx.numpy_helper.to_array(w) for w in onnx.load(home.model).graph.initializer}
    assert qtnc("reduce", home.model, home.spec, "-o", small).code == 0
    (weight,) = onnx.load(small / "model.onnx").graph.initializer
    assert tuple(weight.dims) == (2, 2)
    assert onnx.numpy_helper.to_array(weight).ravel()[0] not in original[weight.name]
    with np.load(small / "calib.npz") as data:
        assert {name: array.shape for name, array in data.items()} == {"x": (1, 16)}
    assert "All weights are drawn from a seed." in (small / "README.md").read_text()
    text = (small / "spec.qtn").read_text()
    assert "on calib" in text
    assert "select" not in text
    assert "optimize" not in text


def test_text_becomes_a_model(stand_in: Any, qtnc: Run, home: Any) -> None:
    text, small = home.folder / "model.qir", home.folder / "small"
    assert qtnc("opt", home.model, "-o", text, "--pass-pipeline", "canonicalize").code == 0
    stand_in(lambda folder: FAILED if b"Relu" in (folder / "model.onnx").read_bytes() else FINE)
    assert qtnc("reduce", text, "-o", small, "--arguments", "--pass-pipeline canonicalize").code == 0
    assert [node.op_type for node in onnx.load(small / "model.onnx").graph.node] == ["Relu"]


def test_the_same_folder_comes_out_twice(stand_in: Any, qtnc: Run, home: Any) -> None:
    stand_in(lambda folder: FAILED if len(onnx.load(folder / "model.onnx").graph.node) >= 2 else FINE)
    found = []
    for name in ("one", "two"):
        qtnc("reduce", home.model, home.spec, "-o", home.folder / name)
        found.append({path.name: path.read_bytes() for path in (home.folder / name).iterdir()})
    assert found[0] == found[1]


def test_another_failure_is_not_taken(stand_in: Any, qtnc: Run, home: Any) -> None:
    def judge(folder: Path) -> Outcome:
        nodes = len(onnx.load(folder / "model.onnx").graph.node)
        return FAILED if nodes == 3 else Outcome(70, "error: internal error: another")

    stand_in(judge)
    qtnc("reduce", home.model, home.spec, "-o", home.folder / "small")
    assert len(onnx.load(home.folder / "small" / "model.onnx").graph.node) == 3
    qtnc("reduce", home.model, home.spec, "-o", home.folder / "any", "--match", "internal error")
    assert len(onnx.load(home.folder / "any" / "model.onnx").graph.node) == 1
    done = qtnc("reduce", home.model, home.spec, "-o", home.folder / "none", "--exit", "3")
    assert done.code == 2
    assert "it ends with exit code 70 and says `error: internal error: of 12 `x``" in done.err


def test_trials_are_bounded(stand_in: Any, qtnc: Run, home: Any) -> None:
    met = stand_in(lambda folder: FAILED)
    done = qtnc("reduce", home.model, home.spec, "-o", home.folder / "small", "--trials", 2)
    assert done.code == 0
    assert len(met) == 3
    assert (home.folder / "small" / "model.onnx").is_file()


def test_what_cannot_be_read_stays_as_it_is(stand_in: Any, qtnc: Run, home: Any) -> None:
    home.model.write_bytes(b"damaged")
    home.spec.write_text("qtn 1\nselect =\n")
    stand_in(lambda folder: FAILED)
    small = home.folder / "small"
    assert qtnc("reduce", home.model, home.spec, "-o", small, "--command", "plan").code == 0
    assert (small / "model.onnx").read_bytes() == b"damaged"


def test_an_interrupt_keeps_what_is_there(stand_in: Any, qtnc: Run, home: Any) -> None:
    def judge(folder: Path) -> Outcome:
        if len(met) > 5:
            raise KeyboardInterrupt
        return FAILED

    met = stand_in(judge)
    done = qtnc("reduce", home.model, home.spec, "-o", home.folder / "small", "--command", "plan")
    assert done.code == 130
    assert "    qtnc plan model.onnx spec.qtn\n" in (home.folder / "small" / "README.md").read_text()


def test_an_interrupt_ends_the_trial_too(home: Any) -> None:
    """Ctrl-C reaches a process that runs a trial of its own."""
    slow = f"import os, time\nopen({str(home.folder / 'pid')!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
    (home.folder / "mine.py").write_text(slow)
    command = [sys.executable, "-m", "qtnc", "reduce", home.model, home.spec, "-o", home.folder / "small"]
    process = subprocess.Popen([*map(str, command), "--command", "plan"], stderr=subprocess.PIPE)
    limit = time.monotonic() + 120
    while not (home.folder / "pid").exists() or not (home.folder / "pid").read_text():
        assert time.monotonic() < limit
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    child = int((home.folder / "pid").read_text())
    status = Path(f"/proc/{child}/stat")
    assert not status.exists() or status.read_text().split()[2] == "Z"


def test_a_bug_tells_how_to_go_on(qtnc: Run, place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QTNC_TRACEBACK", raising=False)
    monkeypatch.chdir(place.folder)
    monkeypatch.setattr("qtnc.compiler.make_plan", lambda *arguments, **named: [][1])
    done = qtnc("compile", place.model, place.spec, "-o", place.out, "--force", "--disable-pass", "fold-constants")
    assert done.code == 70
    wanted = f"qtnc reduce {place.model} {place.spec} -o small --command compile"
    line = f"{wanted} '--arguments=--disable-pass fold-constants'"
    assert f"it may be made small first: {line}\n" in done.err
    (folder,) = place.folder.glob("qtnc-bug-*")
    assert line in (folder / "command.txt").read_text()
