"""The folder: code that runs by itself, files that read back, counts that are true."""

import ast
import hashlib
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from qiskit import qasm3
from qiskit.quantum_info import Operator
from safetensors.numpy import load_file

from qtnc.backends.qiskit.names import RESERVED, stems
from qtnc.errors import BackendError
from qtnc.quantum.circuit import matrix

CLOSE = 1e-10
"""Rounding of a few dozen rotations in double precision."""

SIDES = ("input", "output")

HOSTILE = [
    'a"""\nimport os\nos.abort()\n"""',
    "'''{__import__('os').abort()}",
    "\0",
    "../../etc/passwd",
    "..",
    "",
    "CON",
    "token",
    "x" * 10_000,
    "x" * 9_999 + "y",
    "\u0430\u0442\u0442\u043d.\u202eevil\ud800",
    "MLP.up",
    "mlp.up",
    "mlp/up",
    "\\",
    'q"; h q[0]; //',
    "resources",
]


def side(layer, name):
    return getattr(layer, name), getattr(layer, f"{name}_angles")


def is_the_map(circuit, layer, name):
    described, angles = side(layer, name)
    rows, columns = described.features
    return np.abs(Operator(circuit).data[:columns, :rows] - matrix(described, angles).T).max() < CLOSE


def hashes(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def depth(circuit, only=lambda step: True):
    """Longest chain of gates."""
    reached = {}
    for step in filter(only, circuit.data):
        level = 1 + max(reached.get(qubit, 0) for qubit in step.qubits)
        reached.update(dict.fromkeys(step.qubits, level))
    return max(reached.values(), default=0)


@pytest.fixture
def gauge(make_layer):
    """A layer all of whose circuits are gauge."""
    return make_layer("gauge", (5, 3), depth=0)


def test_a_layer_has_six_files(make_layer, emit):
    folder = emit(make_layer("layers.0.mlp.up"), target="grid-2x2")
    names = ["py", "qpy", "input.qasm", "output.qasm", "grid-2x2.qpy", "safetensors"]
    assert {p.name for p in folder.iterdir()} == {"resources.json", *(f"layers_0_mlp_up.{name}" for name in names)}


def test_qpy_and_qasm_read_back_as_the_maps(make_layer, emit, load_qpy, gauge):
    layers = [make_layer("up", (24, 50)), make_layer("thin", (1, 2)), gauge]
    folder = emit(*layers)
    for layer in layers:
        for name, circuit in zip(SIDES, load_qpy(folder / f"{layer.name}.qpy"), strict=True):
            code = (folder / f"{layer.name}.{name}.qasm").read_text()
            assert circuit.name == f"{layer.name}.{name}"
            assert is_the_map(circuit, layer, name)
            assert is_the_map(qasm3.loads(code), layer, name)
            assert code.count("cx ") == side(layer, name)[0].cx


def test_qasm_keeps_angles_that_are_nearly_multiples_of_pi(make_layer, emit):
    layer = make_layer("up", (4, 4), depth=1)
    layer.output_angles[:] = np.pi / 2 + 4e-10
    folder = emit(layer)
    read = qasm3.loads((folder / "up.output.qasm").read_text())
    assert {float(step.params[0]) for step in read.data if step.params} == {np.pi / 2 + 4e-10}


def test_twins_are_the_maps(make_layer, emit, load_qpy, on_register, gauge):
    layers = [make_layer("up", (24, 50)), make_layer("thin", (1, 2)), gauge]
    folder = emit(*layers, target="heavy-hex-19q")
    for layer in layers:
        for name, twin in zip(SIDES, load_qpy(folder / f"{layer.name}.heavy-hex-19q.qpy"), strict=True):
            described, angles = side(layer, name)
            rows, columns = described.features
            state_map = on_register(twin, described.qubits)[:columns, :rows]
            assert np.abs(state_map - matrix(described, angles).T).max() < 1e-9


def test_safetensors_hold_every_number(make_layer, emit, gauge):
    layer = make_layer("up", (24, 50))
    folder = emit(layer, gauge)
    held = load_file(folder / "up.safetensors")
    assert set(held) == {"input_angles", "output_angles", "core_0", "core_1"}
    assert all(array.dtype == np.float64 for array in held.values())
    assert np.array_equal(held["input_angles"], layer.input_angles)
    assert np.array_equal(held["output_angles"], layer.output_angles)
    assert all(np.array_equal(held[f"core_{k}"], core) for k, core in enumerate(layer.cores))
    assert load_file(folder / "gauge.safetensors")["input_angles"].shape == (0, 6)


PROBE = """
import importlib.util, sys
from qiskit import qpy
for path in sys.argv[1:]:
    spec = importlib.util.spec_from_file_location("emitted", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    open_ones = module.input_circuit(), module.output_circuit()
    with open(path + ".qpy", "wb") as file:
        qpy.dump([*module.bound(), *open_ones], file)
print([name for name in sys.modules if name.split(".")[0] in ("qtnc", "safetensors", "torch")])
"""


def test_emitted_code_stands_alone(make_layer, emit, load_qpy, gauge):
    layers = [make_layer("up", (24, 50)), make_layer("down", (100, 7), "brickwall"), gauge]
    folder = emit(*layers)
    paths = [str(folder / f"{layer.name}.py") for layer in layers]
    done = subprocess.run([sys.executable, "-I", "-c", PROBE, *paths], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
    for layer, path in zip(layers, paths, strict=True):
        bound_and_open = load_qpy(folder / f"{path}.qpy")
        for name, bound, left_open in zip(SIDES, bound_and_open[:2], bound_and_open[2:], strict=True):
            assert is_the_map(bound, layer, name)
            assert not bound.parameters
            assert len(left_open.parameters) == side(layer, name)[0].parameters
        allowed = sys.stdlib_module_names | {"qiskit"}
        for node in ast.walk(ast.parse((folder / path).read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                module = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
                assert module.split(".")[0] in allowed


def test_emitted_code_runs_as_a_script(make_layer, emit):
    folder = emit(make_layer("up", (6, 11)))
    command = [sys.executable, "-I", "-W", "error", str(folder / "up.py")]
    done = subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8")
    assert "up.input: 3 qubits, depth " in done.stdout
    assert "up.output: 4 qubits, depth " in done.stdout
    assert "q_3: " in done.stdout


@pytest.mark.parametrize("target", ["line", "heavy-hex", "all-to-all-9q"])
def test_counts_are_those_of_the_files(make_layer, emit, load_qpy, gauge, target):
    layers = [make_layer("up", (24, 50)), make_layer("down", (100, 7), "brickwall"), gauge]
    folder = emit(*layers, target=target, shots=7, error=0.25)
    found = json.loads((folder / "resources.json").read_text())
    assert (found["format"], found["target"], found["shots"], found["error"]) == (1, target, 7, 0.25)
    assert found["basis_gates"] == ["cx", "rz", "sx", "x"]
    assert [record["layer"] for record in found["layers"]] == [layer.name for layer in layers]
    for layer, record in zip(layers, found["layers"], strict=True):
        assert record["file"] == f"{layer.name}.py"
        assert record["features"] == list(layer.features)
        inner = layer.inner
        assert record["inner"] == {
            "equation": inner.equation,
            "mode_sizes": list(inner.mode_sizes),
            "features": list(inner.features),
            "parameters": sum(core.size for core in layer.cores),
        }
        bound, twins = load_qpy(folder / f"{layer.name}.qpy"), load_qpy(folder / f"{layer.name}.{target}.qpy")
        for name, circuit, twin in zip(SIDES, bound, twins, strict=True):
            described, angles = side(layer, name)
            two = [step for step in twin.data if len(step.qubits) == 2]
            transpiled = record[name].pop("transpiled")
            assert record[name] == {
                "qubits": circuit.num_qubits,
                "pairs": [list(pair) for pair in described.pairs],
                "gates": len(angles),
                "angles": angles.size,
                "cx": sum(len(step.qubits) == 2 for step in circuit.data),
                "depth": depth(circuit),
            }
            assert circuit.num_qubits <= transpiled.pop("qubits") <= twin.num_qubits
            assert transpiled == {
                "depth": depth(twin),
                "cx": len(two),
                "two_qubit_depth": depth(twin, lambda step: len(step.qubits) == 2),
                "one_qubit_gates": len(twin.data) - len(two),
            }


def test_counts_say_which_device_an_open_size_became(make_layer, emit):
    folder = emit(make_layer("up", (24, 50)), make_layer("down", (100, 7)), target="line")
    records = json.loads((folder / "resources.json").read_text())["layers"]
    assert [record["device"] for record in records] == ["line-6q", "line-7q"]


REPEAT = """
import sys, runpy
from pathlib import Path
conftest = runpy.run_path(sys.argv[1])
make = conftest["make_layer"].__wrapped__()
conftest["emit_qiskit"](
    [make("up", (24, 50)), make("down", (100, 7), "brickwall")],
    conftest["QiskitOptions"](target="heavy-hex"),
    Path(sys.argv[2]),
)
"""


def test_the_same_layers_give_the_same_bytes(make_layer, emit, tmp_path, monkeypatch):
    layers = [make_layer("up", (24, 50)), make_layer("down", (100, 7), "brickwall")]
    first = hashes(emit(*layers, target="heavy-hex"))
    assert hashes(emit(*layers, target="heavy-hex")) == first
    again = tmp_path / "again"
    again.mkdir()
    monkeypatch.setenv("PYTHONHASHSEED", "77")
    conftest = str(__file__).replace("test_emit.py", "conftest.py")
    subprocess.run([sys.executable, "-c", REPEAT, conftest, str(again)], check=True)
    assert hashes(again) == first


def test_hostile_names_reach_no_code_and_no_path(make_layer, emit, tmp_path):
    before = set(tmp_path.rglob("*"))
    layers = [make_layer(name, (3, 4), depth=1) for name in HOSTILE]
    folder = emit(*layers, target="line")
    made = set(tmp_path.rglob("*")) - before - {folder}
    assert {path.parent for path in made} == {folder}
    assert len(made) == 6 * len(HOSTILE) + 1
    assert len({path.name.lower() for path in made}) == len(made)
    for path in made:
        assert re.fullmatch(
            r"[a-z][a-z0-9_]{0,99}\.(py|qpy|(input|output)\.qasm|line\.qpy|safetensors|json)", path.name
        )
        assert path.name.split(".")[0] not in RESERVED
    plain = emit(make_layer("up", (3, 4), depth=1), target="line")
    program = ast.parse((plain / "up.py").read_text())
    for path in folder.glob("*.py"):
        text = path.read_text("ascii")
        ours = ast.parse(text.replace(path.stem, "up"))
        assert ast.get_docstring(ours) is not None
        assert ast.dump(ast.Module(ours.body[1:], [])) == ast.dump(ast.Module(program.body[1:], []))
        assert max(map(len, text.splitlines())) <= 200
    for path in folder.glob("*.qasm"):
        assert path.read_text() == (plain / f"up.{path.name.split('.')[1]}.qasm").read_text()
    names = [record["layer"] for record in json.loads((folder / "resources.json").read_text())["layers"]]
    assert names == HOSTILE


def test_no_stem_hides_a_module_that_the_code_needs(make_layer, emit):
    folder = emit(make_layer("up", (3, 4), depth=1))
    code = f"import runpy, sys; runpy.run_path({str(folder / 'up.py')!r}, run_name='__main__'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", code], check=True, capture_output=True, text=True)
    tops = {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}
    hidden = {name for name in tops if stems([name]) == [name]}
    assert hidden == set()


@pytest.mark.parametrize(("target", "said"), [("line-5q", "target `line-5q` has 5"), ("grid-2x2", "has 4")])
def test_a_target_that_is_too_small_is_refused(make_layer, emit, tmp_path, target, said):
    with pytest.raises(BackendError) as refused:
        emit(make_layer("tiny", (2, 2)), make_layer("up\x1b[2J", (24, 50)), target=target)
    message = str(refused.value)
    assert "layer `up\\x1b[2J` takes 6 qubits" in message
    assert said in message
    assert "gates on qubits that do not exist" in message
    assert not list((tmp_path / "qiskit0").iterdir())


def test_an_unknown_target_is_refused(make_layer, emit, tmp_path):
    with pytest.raises(BackendError, match="did you mean `line`"):
        emit(make_layer(), target="lien")
    assert not list((tmp_path / "qiskit0").iterdir())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_angles_that_are_no_numbers_are_refused(make_layer, emit, tmp_path, value):
    layer = make_layer()
    layer.input_angles[0, 0] = value
    with pytest.raises(BackendError, match="`up` has angles that are not finite"):
        emit(layer)
    assert not list((tmp_path / "qiskit0").iterdir())


MISSING = """
import sys, runpy
from pathlib import Path
sys.modules["qiskit"] = None
from qtnc.backends.qiskit.emit import emit_qiskit
from qtnc.backends.qiskit.options import QiskitOptions
from qtnc.errors import MissingExtraError
try:
    emit_qiskit([], QiskitOptions(), Path(sys.argv[1]))
except MissingExtraError as error:
    print(error)
"""


def test_without_qiskit_the_extra_is_named_and_nothing_written(tmp_path):
    done = subprocess.run([sys.executable, "-c", MISSING, str(tmp_path)], check=True, capture_output=True, text=True)
    assert 'pip install "qtnc[quantum]"' in done.stdout
    assert not list(tmp_path.iterdir())
