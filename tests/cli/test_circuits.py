"""Circuits from the command line: stages, prices, the Qiskit folder, sampled runs, and what is refused."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Run = Callable[..., Any]

SPEC = """qtn 1
bind batch = 4
optimize memory
select up = MatMul where name ~ "up"
stage classical {
    rewrite up -> lowrank(rank: 3)
}
stage hybrid extends classical {
    rewrite up -> circuit(depth: 2, layout: cross) | mpo(max_bond: 2)
}
emit onnx
emit qiskit(target: "line", shots: 4000, error: 10%) for up
"""


@pytest.fixture
def staged(place: Any) -> Any:
    """The small model with a spec of two stages."""
    place.spec.write_text(SPEC)
    return place


def rows(path: Path, count: int = 3) -> Path:
    np.savez(path, x=np.random.default_rng(0).standard_normal((count, 16)).astype(np.float32))
    return path


def test_the_last_stage_is_taken_or_the_one_that_is_named(qtnc: Run, staged: Any) -> None:
    last = json.loads(qtnc("plan", staged.model, staged.spec, "--json").out)
    assert (last["stage"], last["layers"][0]["structure"]) == ("hybrid", "circuit")
    first = json.loads(qtnc("plan", staged.model, staged.spec, "--json", "--stage", "classical").out)
    assert (first["stage"], first["layers"][0]["structure"]) == ("classical", "lowrank")


def test_an_unknown_stage_is_a_matter_of_usage(qtnc: Run, staged: Any) -> None:
    done = qtnc("plan", staged.model, staged.spec, "--stage", "hybird")
    assert done.code == 2
    assert "unknown stage `hybird`" in done.err
    assert "did you mean `hybrid`?" in done.err


def test_plan_prices_circuits(qtnc: Run, staged: Any) -> None:
    done = qtnc("plan", staged.model, staged.spec)
    assert "circuit cross 2 | mpo" in done.out
    (entry,) = json.loads(qtnc("plan", staged.model, staged.spec, "--json").out)["layers"]
    cost = entry["circuits"]
    # 16 and 24 features: registers of 4 and 5 qubits, an ancilla each.
    assert cost["qubits"] == [5, 6]
    assert cost["angles"] == 6 * sum(cost["gates"])
    assert cost["cx"] == [2 * gates for gates in cost["gates"]]
    # Isotropic rows: e^2 = (d_in + d_out - 2) / s + (d_in - 1)(d_out - 1) / s^2 with s shots a stage.
    each = cost["shots"] / 2
    assert cost["error_at_shots"] == pytest.approx((46 / each + 15 * 31 / each**2) ** 0.5)
    each = cost["shots_for_error"] / 2
    assert (46 / each + 15 * 31 / each**2) ** 0.5 <= 0.1


def test_a_folder_runs_by_sampling(qtnc: Run, staged: Any) -> None:
    assert qtnc("compile", staged.model, staged.spec, "-o", staged.out).code == 0
    done = qtnc("run", staged.out, "--input", rows(staged.folder / "x.npz"), "--shots", 20_000, "--format", "json")
    assert (done.code, done.err) == (0, "")
    (layer,) = json.loads(done.out)["layers"]
    assert layer["layer"] == "up"
    # Three rows of 24 outputs: the root mean square itself scatters.
    assert layer["error"]["measured"] == pytest.approx(layer["error"]["predicted"], rel=0.4)
    text = qtnc("run", staged.out, "--input", staged.folder / "x.npz", "--shots", 2000, "--noise", 0.001)
    assert text.code == 0
    assert "predicted" in text.out


def test_the_first_stage_writes_no_circuits(qtnc: Run, staged: Any) -> None:
    assert qtnc("compile", staged.model, staged.spec, "-o", staged.out, "--stage", "classical").code == 0
    assert json.loads((staged.out / "qiskit" / "resources.json").read_text())["layers"] == []
    done = qtnc("run", staged.out, "--input", rows(staged.folder / "x.npz"), "--shots", 100)
    assert done.code == 1
    assert "circuit" in done.err


def refused(qtnc: Run, place: Any, old: str, new: str) -> str:
    assert old in SPEC
    place.spec.write_text(SPEC.replace(old, new))
    done = qtnc("compile", place.model, place.spec, "-o", place.out)
    assert done.code == 1
    assert not place.out.exists()
    return str(done.err)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("layout: cross", "layout: crosss", "9:45: error: `layout` takes `brickwall` or `cross`, not `crosss`"),
        ("shots: 4000", "shots: 0", "12:36: error: `shots` takes a whole number from 1, not `0`"),
        ('"line"', '"lime"', "unknown target `lime`; did you mean `line`?"),
        ('"line"', '"line-4q"', "layer `up` takes 5 qubits and target `line-4q` has 4"),
        (" | mpo(max_bond: 2)", "", "`circuit` needs a structure after it"),
        ("mpo(max_bond: 2)", "mpo(sites: [3x6, 6x6])", "a site of size 3 holds no whole number of qubits"),
        ("mpo(max_bond: 2)", "mpo(bytes: 10%)", "angles alone are more than 0.1"),
    ],
)
def test_what_cannot_be_is_refused_at_its_place(qtnc: Run, place: Any, old: str, new: str, says: str) -> None:
    said = refused(qtnc, place, old, new)
    assert says in said
    assert "spec.qtn:" in said
    assert "^" in said


def test_circuits_asked_for_where_there_are_none(qtnc: Run, place: Any) -> None:
    place.spec.write_text(
        'qtn 1\nselect up = MatMul where name ~ "up"\nrewrite up -> mpo(sites: 2)\nemit qiskit for up\n'
    )
    done = qtnc("compile", place.model, place.spec, "-o", place.out)
    assert done.code == 1
    assert "no layer of `up` is made of circuits" in done.err
    assert "4:1" in done.err


def test_registers_that_memory_cannot_hold(qtnc: Run, staged: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qtnc.structures.circuit.available", lambda: 10_000)
    done = qtnc("plan", staged.model, staged.spec, "--no-cache")
    assert done.code == 1
    assert "registers of 4 and 5 qubits" in done.err
    assert "10.0 kB are available" in done.err
    assert "spec.qtn:9:5" in done.err


def test_without_the_extra_it_is_named_before_anything_is_fitted(staged: Any) -> None:
    code = (
        "import sys\n"
        "sys.modules['qiskit'] = None\n"
        "import qtnc.planner.planner as planner\n"
        "planner.make_plan = None\n"
        "from qtnc.cli import main\n"
        f"sys.exit(main(['compile', {str(staged.model)!r}, {str(staged.spec)!r}, '-o', {str(staged.out)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert 'pip install "qtnc[quantum]"' in done.stderr
    assert not staged.out.exists()
