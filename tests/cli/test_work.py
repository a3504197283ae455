"""Units of work from the command line: jobs, the cache, plans that are replayed, interrupts; bytes stay the same."""

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Run = Callable[..., Any]

TIMED = {"report.json", "report.html"}
"""Files that hold what this run took."""

SPEC = """qtn 1
bind batch = 4
optimize memory
data calib = npz("calib.npz")
select up   = MatMul where name ~ "up"
select down = MatMul where name ~ "down"
rewrite up   -> circuit(depth: 2, layout: cross) | mpo(max_bond: 2)
rewrite down -> mpo(bytes: 60%) on calib
emit torch
emit onnx
emit qiskit for up
"""


@pytest.fixture
def home(place: Any) -> Any:
    """The small model with circuits, data, and all three backends; the cache is this test's own."""
    place.spec.write_text(SPEC)
    np.savez(place.folder / "calib.npz", x=np.random.default_rng(0).standard_normal((12, 16)).astype(np.float32))
    return place


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QTNC_CACHE_DIR", str(tmp_path / "kept"))
    return tmp_path / "kept"


def files(out: Path, but: set[str] = TIMED) -> dict[str, bytes]:
    found = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    return {name: raw for name, raw in found.items() if name not in but}


def test_a_plan_is_replayed_to_the_byte(qtnc: Run, home: Any) -> None:
    """Twice, in one process and in two, from the cache and anew."""
    plan = home.folder / "plan.json"
    plan.write_text(qtnc("plan", home.model, home.spec, "--json", "--no-cache").out)
    found = []
    for k, options in enumerate((["--no-cache"], ["--no-cache", "--jobs", 2], ["--jobs", 2], [])):
        out = home.folder / f"out{k}"
        assert qtnc("compile", home.model, home.spec, "-o", out, "--plan", plan, *options).code == 0
        found.append(files(out))
    assert found[0].keys() >= {
        "plan.json",
        "manifest.json",
        "torch/model.py",
        "onnx/model.onnx",
        "qiskit/resources.json",
    }
    assert found[1:] == found[:1] * 3
    assert json.loads(found[0]["plan.json"]) == json.loads(plan.read_text())


def test_what_a_compile_wrote_can_be_replayed(qtnc: Run, home: Any) -> None:
    assert qtnc("compile", home.model, home.spec, "-o", home.out).code == 0
    again = home.folder / "again"
    assert qtnc("compile", home.model, home.spec, "-o", again, "--plan", home.out / "plan.json").code == 0
    assert files(again) == files(home.out)


def test_a_replay_measures_and_searches_nothing(qtnc: Run, home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = home.folder / "plan.json"
    plan.write_text(qtnc("plan", home.model, home.spec, "--json").out)

    def never(*arguments: Any) -> Any:
        raise AssertionError("asked again")

    monkeypatch.setattr("qtnc.planner.latency.LatencyMeter.measure", never)
    monkeypatch.setattr("qtnc.structures.mpo.Mpo.propose", never)
    assert qtnc("compile", home.model, home.spec, "-o", home.out, "--plan", plan).code == 0


def change(plan: Path, **layer: Any) -> None:
    """Change the first layer of a plan by hand."""
    content = json.loads(plan.read_text())
    content["layers"][0] |= layer
    plan.write_text(json.dumps(content))


BROKEN: list[tuple[Callable[[Path], object], str]] = [
    (lambda plan: plan.write_text(""), "not a plan"),
    (lambda plan: plan.write_text("[]"), "not a plan: Expected `object`, got `array`"),
    (lambda plan: plan.write_text("[" * 100_000), "not a plan"),
    (lambda plan: plan.write_text('{"format": 99}'), "it has no format 1"),
    (lambda plan: plan.write_text('{"format": 1}'), "missing required field `model`"),
    (lambda plan: plan.unlink(), "cannot be read: No such file or directory"),
    (lambda plan: change(plan, rows="four"), "Expected `int`, got `str` - at `$.layers[0].rows`"),
    (lambda plan: change(plan, layer="other"), "it has no layer `up`, which the spec claims"),
    (lambda plan: change(plan, structure="lowrank"), "layer `up` is `lowrank` there and `circuit` here"),
    (lambda plan: change(plan, settled={"rank": 3}), "layer `up`: circuits have `start`"),
    (lambda plan: change(plan, parameters=7), "layer `up`: parameters is `7` there"),
    (lambda plan: change(plan, shape=[4, 4]), "layer `up`: shape is `(4, 4)` there"),
]


@pytest.mark.parametrize(("damage", "said"), BROKEN)
def test_a_plan_that_is_none_or_anothers_is_refused(
    qtnc: Run, home: Any, damage: Callable[[Path], object], said: str
) -> None:
    plan = home.folder / "plan.json"
    plan.write_text(qtnc("plan", home.model, home.spec, "--json").out)
    damage(plan)
    done = qtnc("compile", home.model, home.spec, "-o", home.out, "--plan", plan)
    assert done.code == 1
    assert said in done.err
    assert str(plan) in done.err
    assert not home.out.exists()


def test_a_plan_of_other_inputs_is_refused(qtnc: Run, home: Any, toys: Any) -> None:
    plan = home.folder / "plan.json"
    plan.write_text(qtnc("plan", home.model, home.spec, "--json").out)

    def said(*options: Any) -> str:
        done = qtnc("compile", home.model, home.spec, "-o", home.out, "--plan", plan, *options)
        assert done.code == 1
        return str(done.err)

    assert "bind is `{'batch': 4}` there and `{'batch': 8}` here" in said("--set", "batch=8")
    assert "optimize is `memory` there and `latency` here" in said("--set", "optimize=latency")
    np.savez(home.folder / "calib.npz", x=np.ones((12, 16), np.float32))
    toys.write(toys.mlp(opset=17), home.model)
    assert "it was made from another `data calib`, `model.onnx`" in said()


def test_a_change_of_one_rule_fits_what_changed(qtnc: Run, home: Any, cache: Path) -> None:
    def entries() -> int:
        return int(json.loads(qtnc("cache", "--format", "json").out)["entries"])

    assert qtnc("compile", home.model, home.spec, "-o", home.out).code == 0
    assert entries() == 4  # two weights, each weighed and fitted
    home.spec.write_text(SPEC.replace("60%", "40%"))
    assert qtnc("compile", home.model, home.spec, "-o", home.out, "--force").code == 0
    assert entries() == 6
    home.spec.write_text(SPEC)
    assert qtnc("compile", home.model, home.spec, "-o", home.out, "--force", "--jobs", 2).code == 0
    assert entries() == 6


def test_the_cache_is_shown_bounded_and_cleared(qtnc: Run, home: Any, cache: Path) -> None:
    assert qtnc("cache").out == f"{cache}: 0 entries, 0 B of 10.7 GB\n"
    assert qtnc("compile", home.model, home.spec, "-o", home.out, "--no-cache").code == 0
    assert not cache.exists()
    assert qtnc("plan", home.model, home.spec).code == 0
    shown = json.loads(qtnc("cache", "--format", "json").out)
    assert (shown["folder"], shown["entries"]) == (str(cache), 2)
    assert shown["bytes"] == sum(p.stat().st_size for p in cache.rglob("*") if p.is_file())
    assert qtnc("cache", "--limit", "100").out == f"{cache}: 0 entries, 0 B of 100 B\n"
    assert qtnc("cache", "--limit", "2Gi").code == 0
    assert qtnc("plan", home.model, home.spec).code == 0
    assert qtnc("cache", "--clear").out == f"{cache}: 0 entries, 0 B of 2.1 GB\n"


@pytest.mark.parametrize("limit", ["many", "-3", "0", "5%", "1.5"])
def test_a_limit_that_is_none_is_refused(qtnc: Run, limit: str) -> None:
    done = qtnc("cache", f"--limit={limit}")
    assert done.code == 2
    assert "--limit" in done.err


@pytest.mark.parametrize("jobs", ["0", "-1", "two", "1.5", "99999"])
def test_jobs_that_are_no_number_are_refused(place: Any, jobs: str) -> None:
    command = [sys.executable, "-m", "qtnc", "plan", place.model, place.spec, f"--jobs={jobs}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"{jobs!r} is no number from 1 to 1024" in done.stderr


def test_a_cache_that_cannot_be_written_is_said(qtnc: Run, place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (place.folder / "file").write_text("")
    monkeypatch.setenv("QTNC_CACHE_DIR", str(place.folder / "file"))
    done = qtnc("compile", place.model, place.spec, "-o", place.out)
    assert done.code == 0
    assert f"note: 1 of 1 results could not be kept in {place.folder / 'file'}" in done.err


@pytest.mark.parametrize(("jobs", "sign"), [(1, signal.SIGINT), (2, signal.SIGINT), (2, signal.SIGKILL)])
def test_a_compile_that_was_stopped_goes_on_where_it_was(
    jobs: int, sign: signal.Signals, place: Any, toys: Any, cache: Path
) -> None:
    """Stopped once two fits are kept: nothing is left of OUT or of workers, and they are not fitted again."""
    wide = 256
    nodes = [
        toys.helper.make_node("MatMul", [f"x{k}", f"up{k}.weight"], [f"x{k + 1}"], name=f"up{k}") for k in range(8)
    ]
    ends = toys.value("x0", ["batch", wide]), toys.value("x8", ["batch", wide])
    weights = [toys.weight(f"up{k}.weight", wide, wide) for k in range(8)]
    for k, weight in enumerate(weights):
        raw = np.random.default_rng(k).standard_normal((wide, wide)).astype(np.float32)
        weight.raw_data = raw.tobytes()
    toys.write(toys.model(nodes, ends[:1], ends[1:], weights), place.model)
    place.spec.write_text(
        place.spec.read_text().replace("lowrank(rank: 3)", "mpo(sites: 3, error: 60%)").replace('"up"', '"up*"')
    )
    command = [sys.executable, "-m", "qtnc", "compile", place.model, place.spec, "-o", place.out, f"--jobs={jobs}"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while len(kept := list(cache.glob("1/*/*/facts.json"))) < 2:
        assert child.poll() is None, child.communicate()
        time.sleep(0.01)
    os.kill(child.pid, sign)
    _, said = child.communicate(timeout=60)
    assert not place.out.exists()
    if sign == signal.SIGINT:
        assert (child.returncode, said.strip().splitlines()[-1]) == (130, "interrupted")
        assert not [path for path in place.folder.iterdir() if path.name.startswith(".out")]
    for _ in range(100):
        if not (left := group(child.pid)):
            break
        time.sleep(0.1)
    assert left == []
    done = {path: path.stat().st_mtime_ns for path in kept}
    after = subprocess.run(command, capture_output=True, text=True, check=False)
    assert after.returncode == 0, after.stderr
    assert {path: path.stat().st_mtime_ns for path in kept} == done
    assert not [path for path in place.folder.iterdir() if path.name.startswith(".out")]


def group(leader: int) -> list[str]:
    """Processes of a session that still live."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = path.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue  # ended meanwhile
        if int(session) == leader and state != "Z":
            found.append(path.parent.name)
    return found


def test_off_a_terminal_there_is_no_bar(place: Any) -> None:
    command = [sys.executable, "-m", "qtnc", "compile", place.model, place.spec, "-o", place.out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "\r" not in done.stderr
    assert "left" not in done.stderr


def test_on_a_terminal_the_bar_says_what_is_left(place: Any) -> None:
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, 120, 0, 0))
    command = [sys.executable, "-m", "qtnc", "compile", place.model, place.spec, "-o", place.out]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=terminal)
    os.close(terminal)
    shown = b""
    while True:
        try:
            shown += os.read(main, 4096)
        except OSError:  # what a terminal raises when the other end is closed
            break
    assert child.wait() == 0
    text = shown.decode()
    assert "plan 1/1 100% |" in text
    assert "left" in text
    assert "verify" in text
    assert text.rstrip().endswith(f"wrote {place.out}")
