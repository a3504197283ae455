"""Both stages of the hybrid example, from the spec to sampled execution."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from qtnc.compiler import Compiled, compile_model, plan, run_circuits

EXAMPLES = Path(__file__).parents[2] / "examples"
MODEL = EXAMPLES / "tinylm" / "tinylm.onnx"
SPEC = EXAMPLES / "hybrid" / "hybrid.qtn"


@pytest.fixture(scope="module")
def hybrid(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    return compile_model(MODEL, SPEC, tmp_path_factory.mktemp("hybrid") / "out", stage="hybrid")


def test_the_stage_holds_and_counts_its_angles(hybrid: Compiled) -> None:
    assert hybrid.holds
    circuits = [entry for entry in hybrid.plan.layers if entry.circuits]
    assert len(circuits) == 2
    for entry in circuits:
        assert entry.circuits is not None
        # Two cores of 16x8x16 and 144 angles: six for each of the 12 gates of a side.
        assert entry.circuits.angles == 6 * sum(entry.circuits.gates) == 144
        assert entry.parameters == 2 * 16 * 8 * 16 + 144
        # A rotation changes no error of the whole: the operator without circuits is what they must beat.
        assert entry.baselines is not None
        assert entry.predicted_error < entry.baselines.svd


def test_the_circuits_run_and_keep_the_law(hybrid: Compiled) -> None:
    runs = run_circuits(hybrid.out, EXAMPLES / "tinylm" / "heldout.npz", shots=20_000, rows=6)
    priced = {entry.layer for entry in hybrid.plan.layers if entry.circuits}
    assert {run.layer for run in runs} == priced
    for run in runs:
        # Six rows of 128 outputs: the root mean square itself scatters by less than a tenth.
        assert run.measured == pytest.approx(run.predicted, rel=0.25)


def test_what_is_emitted_is_what_is_planned(hybrid: Compiled) -> None:
    resources = json.loads((hybrid.out / "qiskit" / "resources.json").read_text())
    planned = {entry.layer: entry.circuits for entry in hybrid.plan.layers if entry.circuits}
    assert {layer["layer"] for layer in resources["layers"]} == set(planned)
    for layer in resources["layers"]:
        cost = planned[layer["layer"]]
        assert cost is not None
        assert (layer["input"]["gates"], layer["output"]["gates"]) == cost.gates
        assert layer["input"]["angles"] + layer["output"]["angles"] == cost.angles
        assert (layer["input"]["cx"], layer["output"]["cx"]) == cost.cx


def test_the_first_stage_has_no_circuits() -> None:
    assert not any(entry.circuits for entry in plan(MODEL, SPEC, "classical").plan.layers)


@pytest.mark.conformance
def test_the_example_prints_its_table(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "hybrid" / "hybrid.py"), "-o", str(tmp_path), "--shots", "20000"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for row in ("plain SVD", "whitened SVD", "operator without circuits", "circuits around the operator", "Gaussian"):
        assert row in done.stdout
