"""Whole layers and folders by sampling: the law on Aer, what is refused, and what is said."""

import json
import subprocess
import sys

import numpy as np
import pytest

from qtnc.compiler import prepare
from qtnc.errors import BackendError, DataError, MissingExtraError, OutputError, UsageError
from qtnc.importers.onnx import read_model
from qtnc.ir.layers import find_layers
from qtnc.quantum.circuit import matrix
from qtnc.run import hybrid, memory
from qtnc.run.hybrid import run_folder, run_layer
from qtnc.run.inputs import Rows
from qtnc.run.report import run_json, run_table


def rows_of(layer, count, seed=0, alike=False):
    x = np.random.default_rng(seed).standard_normal((1 if alike else count, layer.features[0]))
    return Rows(np.tile(x, (count if alike else 1, 1)), "array `x`")


def exactly(layer, x):
    first, last = matrix(layer.input, layer.input_angles), matrix(layer.output, layer.output_angles)
    return x @ first @ layer.cores[0] @ layer.cores[1] @ last


@pytest.mark.parametrize("features", [(8, 8), (5, 3), (3, 13), (1, 4), (6, 1)], ids=str)
def test_the_law_holds_on_aer(make_layer, features):
    layer = make_layer(features=features)
    rows = rows_of(layer, 60, alike=True)
    ran = run_layer(layer, rows, shots=1000)
    assert np.allclose(ran.exact, exactly(layer, rows.x))
    square = np.sum((ran.y - ran.exact) ** 2, axis=1) / np.sum(ran.exact[0] ** 2)
    assert ran.measured**2 == pytest.approx(np.mean(square))
    deviation = np.std(square) / np.sqrt(60)
    assert ran.measured**2 == pytest.approx(ran.predicted**2, abs=5 * deviation)
    assert (
        np.linalg.norm(np.mean(ran.y - ran.exact, axis=0)) ** 2 < 4 * np.mean(square) * np.sum(ran.exact[0] ** 2) / 60
    )


def test_error_falls_with_the_root_of_shots(make_layer):
    layer = make_layer(features=(7, 8))
    few, many = (run_layer(layer, rows_of(layer, 40), shots=shots) for shots in (200, 3200))
    assert many.measured == pytest.approx(few.measured / 4, rel=0.25)  # 280 amplitudes each scatter by about 5 %
    assert many.predicted == pytest.approx(few.predicted / 4, rel=0.05)


def test_noise_is_seen_and_mostly_divided_out(make_layer):
    layer = make_layer(features=(8, 8))
    ran = run_layer(layer, rows_of(layer, 6), shots=40_000, noise=3e-3)
    clean = run_layer(layer, rows_of(layer, 6), shots=40_000)
    assert clean.raw == clean.measured
    assert ran.predicted > clean.predicted
    assert ran.measured < 0.6 * ran.raw
    assert [stage.fidelity for stage in ran.stages] == [
        pytest.approx(0.997 ** (stage.encoding.cx + stage.circuit.cx)) for stage in ran.stages
    ]


def test_zero_rows_and_zero_layers(make_layer):
    layer = make_layer()
    x = rows_of(layer, 3).x
    x[1] = 0.0
    ran = run_layer(layer, Rows(x, "x"), shots=2000)
    assert np.array_equal(ran.y[1], np.zeros(11))
    assert ran.y[[0, 2]].any(axis=1).all()
    nothing = run_layer(layer, Rows(np.zeros((2, 6)), "x"), shots=2000)
    assert not nothing.y.any()
    assert np.isnan(nothing.measured)
    assert run_json([nothing])["layers"][0]["error"]["measured"] is None


def test_seeds_reproduce_and_layers_do_not_share_them(make_layer):
    layer, rows = make_layer(), rows_of(make_layer(), 2)
    first, again, other = (run_layer(layer, rows, shots=400, seed=s).y for s in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, run_layer(make_layer("down"), rows, shots=400, seed=3).y)


def test_what_ran_is_counted(make_layer):
    ran = run_layer(make_layer(), rows_of(make_layer(), 2), shots=600)
    first, last = ran.stages
    assert (first.qubits, last.qubits) == (4, 5)
    assert (first.encoding.cx, last.encoding.cx) == (11, 26)
    assert ran.cx_executed == 300 * (11 + first.circuit.cx + 26 + last.circuit.cx)
    assert ran.inner_flops == 2 * (8 * 3 + 3 * 16)


@pytest.fixture
def folder(make_layer, emit):
    return emit(make_layer("up", (16, 24)), make_layer("down", (24, 8), seed=5))


@pytest.fixture
def mlp(toys, tmp_path):
    return prepare(read_model(toys.write(toys.mlp(), tmp_path / "mlp.onnx")))


def test_a_folder_from_graph_inputs(folder, mlp, npz):
    x = np.random.default_rng(0).standard_normal((5, 16)).astype(np.float32)
    runs = run_folder(folder, npz(x=x), mlp, shots=20_000, rows=3)
    assert [run.layer for run in runs] == ["up", "down"]
    assert all(run.rows == 3 and run.measured < 3 * run.predicted for run in runs)
    up = runs[0]
    truth = x[:3] @ find_layers(mlp)[0].matrix()
    assert up.original is not None
    assert up.original.exact == pytest.approx(np.linalg.norm(up.exact - truth) / np.linalg.norm(truth))
    assert up.original.sampled == pytest.approx(np.linalg.norm(up.y - truth) / np.linalg.norm(truth))
    (alone,) = run_folder(folder, npz(x=x), mlp, shots=20_000, rows=3, layer="down")
    assert np.array_equal(alone.y, runs[1].y)


def test_reports(folder, npz):
    x = np.random.default_rng(0).standard_normal((2, 16))
    runs = run_folder(folder, npz(x=x), None, shots=200, layer="up", noise=1e-3)
    text = run_table(runs)
    assert "up: rows from array `x`" in text
    assert "Not modelled: routing" in text
    assert max(map(len, text.splitlines())) <= 120
    layer = json.loads(json.dumps(run_json(runs), allow_nan=False))["layers"][0]
    assert layer["error"]["measured"] == runs[0].measured
    assert layer["original"] is None
    assert layer["stages"][1]["encoding"]["cx"] == 57
    assert layer["flops_a_row"]["dense"] == 2 * 16 * 24


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shots": 0}, "0 shots"),
        ({"shots": -2}, "-2 shots"),
        ({"shots": 101}, "even number"),
        ({"shots": 10, "rows": 0}, "0 rows"),
        ({"shots": 10, "seed": -1}, "seed -1"),
        ({"shots": 10, "noise": 1.0}, "noise 1.0"),
        ({"shots": 10, "noise": -0.1}, "noise -0.1"),
        ({"shots": 10, "noise": float("nan")}, "noise nan"),
    ],
)
def test_numbers_out_of_range(folder, npz, options, words):
    with pytest.raises(UsageError) as caught:
        run_folder(folder, npz(x=np.ones((1, 16))), None, layer="up", **options)
    assert words in caught.value.diagnostics[0].render()


def test_an_unknown_layer(folder, npz):
    with pytest.raises(OutputError, match="did you mean `down`"):
        run_folder(folder, npz(x=np.ones((1, 16))), None, shots=2, layer="dwn")
    with pytest.raises(OutputError, match="circuits: up, down"):
        run_folder(folder, npz(x=np.ones((1, 16))), None, shots=2, layer="zzz")


def test_data_is_looked_at_before_anything_runs(folder, npz, monkeypatch):
    monkeypatch.setattr(hybrid, "read_out", lambda *_, **__: pytest.fail("it ran"))
    with pytest.raises(DataError, match="2 are to run"):
        run_folder(folder, npz(x=np.ones((1, 16))), None, shots=2)


def test_more_than_memory_holds_is_refused_before_anything_runs(folder, npz, monkeypatch):
    monkeypatch.setattr(hybrid, "read_out", lambda *_, **__: pytest.fail("it ran"))
    monkeypatch.setattr(memory, "available", lambda: 1_000_000)
    with pytest.raises(BackendError) as caught:
        run_folder(folder, npz(x=np.ones((4, 16))), None, shots=2_000_000, layer="up")
    said = caught.value.diagnostics[0].render()
    assert "6 qubits with the ancilla, 4 rows and 1000000 shots a stage" in said
    assert "802.1 MB" in said  # 200 bytes a shot, 4 kB a gate
    assert "1.0 MB are available" in said
    assert "fewer rows or shots" in said


def test_memory_grows_with_what_is_simulated(make_layer):
    small, large = make_layer(features=(8, 8)), make_layer(features=(8, 1 << 10))
    assert memory.needed(large, 1, 10, 0.0) > 16 * memory.needed(small, 1, 10, 0.0)
    # 11 qubits: 4^11 amplitudes of 16 bytes in a density matrix.
    assert memory.needed(large, 1, 1 << 11, 0.01) - memory.needed(large, 1, 1 << 11, 0.0) == 16 * (4**11 - 2**11)
    assert memory.available() > 1_000_000


def test_the_extra_is_asked_for_first(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "qiskit_aer", None)
    with pytest.raises(MissingExtraError, match="qtnc\\[quantum\\]"):
        run_folder(tmp_path, tmp_path, None, shots=2)


def test_nothing_heavy_loads_early():
    probe = (
        "import sys, qtnc.run.hybrid, qtnc.run.report; print([m for m in ('qiskit', 'qiskit_aer') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
