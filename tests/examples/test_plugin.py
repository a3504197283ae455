"""The example of a package with a structure and a pass is installed where it was not, tested, and used by a spec."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from safetensors.numpy import load_file

PLUGIN = Path(__file__).parents[2] / "examples" / "plugin"
Child = Callable[..., subprocess.CompletedProcess[str]]

SPEC = """qtn 1
bind batch = 4
optimize memory
select all = MatMul
rewrite all -> monarch(blocks: 3, rank: 2)
emit torch
emit onnx
"""


CASE = """
from qtnc.testing import check_text
check_text('''// RUN: canonicalize
// CHECK: Abs
qir 1
model opset {"": 18} ir 10
graph g(%x: f32[2]) -> (%y: f32[2]) {
  %y = Abs(%x) : f32[2]
}
''')
"""


@dataclass(frozen=True)
class Installed:
    """Where the package is, and how to run Python with it; ``cache`` is where fits are kept."""

    site: Path
    cache: Path

    def run(self, *arguments: Any, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(self.site), "QTNC_CACHE_DIR": str(self.cache), **more}
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def qtnc(self, *arguments: Any) -> subprocess.CompletedProcess[str]:
        done = self.run("-m", "qtnc", *arguments)
        assert "Traceback" not in done.stderr
        return done

    def kept(self) -> int:
        return len(list(self.cache.rglob("facts.json")))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package built from a copy of its folder, with nothing from any network, and installed on its own."""
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(PLUGIN, folder / "source", ignore=shutil.ignore_patterns("__pycache__", ".*", "*.egg-info"))
    offline = ("--no-index", "--no-deps", "--no-build-isolation", "--quiet", "--disable-pip-version-check")
    command = [sys.executable, "-m", "pip", "install", *offline, "--target", folder / "site", folder / "source"]
    subprocess.run(command, check=True, capture_output=True, text=True)
    assert not list((folder / "site").glob("qtnc/"))
    return folder


@pytest.fixture
def installed(built: Path, tmp_path: Path) -> Installed:
    shutil.copytree(built / "site", tmp_path / "site")
    return Installed(tmp_path / "site", tmp_path / "cache")


@pytest.fixture
def spec(place: Any) -> Path:
    place.spec.write_text(SPEC)
    return Path(place.spec)


def test_its_own_tests_pass(built: Path) -> None:
    place = Installed(built / "site", built / "cache")
    done = place.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", built / "source", built / "source")
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout


def test_the_word_is_unknown_where_it_is_not_installed(qtnc: Any, spec: Path) -> None:
    done = qtnc("check", spec)
    assert done.code == 1
    assert "unknown structure `monarch`" in done.err


def test_plan_and_structures_print_it(installed: Installed, place: Any, spec: Path) -> None:
    done = installed.qtnc("plan", place.model, spec)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith(("up ", "down "))]
    assert [row[3:8] for row in rows] == [["monarch", "blocks", "3", "rank", "2"]] * 2
    entries = json.loads(installed.qtnc("structures", "--format", "json").stdout)
    assert (entries[-1]["name"], entries[-1]["package"], entries[-1]["version"]) == ("monarch", "qtnc-monarch", "0.1.0")
    assert [option["name"] for option in entries[-1]["options"]] == ["blocks", "rank", "bytes", "error"]


def monarch(weight: np.ndarray, rank: int, blocks: int) -> np.ndarray:
    """Every tile truncated by numpy's SVD."""
    i, j = (-(-size // blocks) for size in weight.shape)
    found = np.zeros((blocks * i, blocks * j))
    found[: weight.shape[0], : weight.shape[1]] = weight
    for a, b in np.ndindex(blocks, blocks):
        u, s, v = np.linalg.svd(found[a * i : (a + 1) * i, b * j : (b + 1) * j])
        found[a * i : (a + 1) * i, b * j : (b + 1) * j] = (u[:, :rank] * s[:rank]) @ v[:rank]
    return found[: weight.shape[0], : weight.shape[1]]


def weights(path: Path) -> dict[str, np.ndarray]:
    import onnx

    return {w.name: onnx.numpy_helper.to_array(w).astype(np.float64) for w in onnx.load(path).graph.initializer}


def test_it_compiles_to_what_numpy_computes(installed: Installed, place: Any, spec: Path, load_emitted: Any) -> None:
    torch = pytest.importorskip("torch")
    done = installed.qtnc("compile", place.model, spec, "-o", place.out, "--verify-each")
    assert done.returncode == 0, done.stderr
    original = weights(place.model)
    up, down = (monarch(original[f"{name}.weight"], 2, 3) for name in ("up", "down"))
    x = np.random.default_rng(0).standard_normal((5, 16))
    wanted = np.maximum(x @ up, 0.0) @ down
    narrow = x.astype(np.float32)
    session = onnxruntime.InferenceSession(place.out / "onnx" / "model.onnx", providers=["CPUExecutionProvider"])
    # cores and sums are rounded to float32: some 50 roundings of 6e-8 of numbers of order 1
    np.testing.assert_allclose(session.run(None, {"x": narrow})[0], wanted, atol=1e-4 * np.abs(wanted).max())
    emitted = load_emitted(place.out / "torch")(torch.from_numpy(narrow)).detach().numpy()
    np.testing.assert_allclose(emitted, wanted, atol=1e-4 * np.abs(wanted).max())
    stored = load_file(place.out / "torch" / "model.safetensors")
    entries = {entry["layer"]: entry for entry in json.loads((place.out / "plan.json").read_text())["layers"]}
    assert sum(core.size for core in stored.values()) == sum(entry["parameters"] for entry in entries.values())
    norm = np.linalg.norm
    for name, matrix in (("up", up), ("down", down)):
        error = norm(original[f"{name}.weight"] - matrix) / norm(original[f"{name}.weight"])
        assert entries[name]["predicted_error"] == pytest.approx(error, abs=1e-6)
    assert json.loads((place.out / "manifest.json").read_text())["versions"]["qtnc-monarch"] == "0.1.0"
    assert installed.qtnc("verify", place.out).returncode == 0


def test_its_plan_is_obeyed_to_the_byte(installed: Installed, place: Any, spec: Path) -> None:
    spec.write_text(SPEC.replace("rank: 2", "error: 60%"))
    plan, again = place.folder / "plan.json", place.folder / "again"
    plan.write_text(installed.qtnc("plan", place.model, spec, "--json").stdout)
    chosen = [entry["settled"] for entry in json.loads(plan.read_text())["layers"]]
    assert all(settled["blocks"] == 3 and settled["rank"] > 0 for settled in chosen)
    for out, more in ((place.out, ()), (again, ("--jobs", 2, "--no-cache"))):
        done = installed.qtnc("compile", place.model, spec, "-o", out, "--plan", plan, *more)
        assert done.returncode == 0, done.stderr
    for file in ("onnx/model.onnx", "torch/model.py", "torch/model.safetensors"):
        assert (place.out / file).read_bytes() == (again / file).read_bytes()
    assert chosen == [entry["settled"] for entry in json.loads((again / "plan.json").read_text())["layers"]]
    changed = plan.read_text().replace('"rank": ', '"rank": 9')
    plan.write_text(changed)
    done = installed.qtnc("compile", place.model, spec, "-o", again, "--force", "--plan", plan)
    assert done.returncode == 1
    assert "that a tile can have" in done.stderr


def test_fits_are_kept_while_its_source_is_the_same(installed: Installed, place: Any, spec: Path) -> None:
    def compile_again() -> int:
        done = installed.qtnc("compile", place.model, spec, "-o", place.out, "--force")
        assert done.returncode == 0, done.stderr
        return installed.kept()

    first = compile_again()
    assert first > 0
    assert compile_again() == first
    source = installed.site / "qtnc_monarch.py"
    source.write_text(source.read_text() + "# changed\n")
    assert compile_again() > first


def test_it_stands_in_the_middle_of_circuits(installed: Installed, place: Any, spec: Path) -> None:
    around = "circuit(depth: 1) | monarch(blocks: 2, rank: 2)"
    spec.write_text(
        SPEC.replace("monarch(blocks: 3, rank: 2)", around).replace("= MatMul", '= MatMul where name ~ "up"')
    )
    done = installed.qtnc("compile", place.model, spec, "-o", place.out)
    assert done.returncode == 0, done.stderr
    assert "| monarch blocks 2 rank 2" in done.stdout


def test_its_pass_is_listed_and_used(installed: Installed, place: Any, toys: Any, spec: Path) -> None:
    toys.write(toys.scaled(), place.model)
    (entry,) = json.loads(installed.qtnc("passes", "--format", "json").stdout)[-1:]
    assert (entry["name"], entry["package"], entry["version"]) == ("fold-scale", "qtnc-monarch", "0.1.0")
    assert [option["name"] for option in entry["options"]] == ["largest"]
    spec.write_text(SPEC.replace("bind batch", "use fold_scale(largest: 1Ki)\nbind batch"))
    done = installed.qtnc("compile", place.model, spec, "-o", place.out, "--verify-each")
    assert done.returncode == 0, done.stderr
    assert "fold-scale: y differs by 0.000% on seeded" in done.stderr
    manifest = json.loads((place.out / "manifest.json").read_text())
    assert (list(manifest["uses"]), manifest["versions"]["qtnc-monarch"]) == (["fold-scale"], "0.1.0")
    import onnx

    assert "Mul" not in {node.op_type for node in onnx.load(place.out / "onnx" / "model.onnx").graph.node}
    done = installed.qtnc("compile", place.model, spec, "-o", place.out, "--force", "--no-python")
    assert done.returncode == 1
    assert "`fold-scale` is code of another package, which is not allowed" in done.stderr


@pytest.mark.conformance
def test_it_is_installed_into_a_clean_environment(place: Any, toys: Any, spec: Path, tmp_path: Path) -> None:
    """Both packages as wheels, with all they need from an index, in an environment that has nothing else."""
    home = tmp_path / "home"
    wheels, clean = home / "wheels", home / "clean"
    home.mkdir()
    for package in (PLUGIN.parents[1], PLUGIN):
        source = home / package.name
        shutil.copytree(package, source, ignore=shutil.ignore_patterns(".*", "*.egg-info", "build", "__pycache__"))
        build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", wheels, source]
        subprocess.run(build, check=True, capture_output=True, text=True)
    subprocess.run([sys.executable, "-m", "venv", clean], check=True)
    constraints = PLUGIN.parents[1] / "constraints.txt"
    install = [clean / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "-c", constraints]
    subprocess.run([*install, *wheels.glob("*.whl")], check=True, capture_output=True, text=True)

    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment["QTNC_CACHE_DIR"] = str(home / "cache")

    def run(*command: Any) -> subprocess.CompletedProcess[str]:
        words = [str(clean / "bin" / command[0]), *map(str, command[1:])]
        return subprocess.run(words, cwd=home, env=environment, capture_output=True, text=True, check=False)

    where = run("python", "-c", "import qtnc, qtnc_monarch; print(qtnc.__file__, qtnc_monarch.__file__)").stdout.split()
    assert len(where) == 2
    assert all(Path(path).is_relative_to(clean) for path in where)
    assert "No module named 'pytest'" in run("python", "-c", "import pytest").stderr
    toys.write(toys.scaled(), place.model)
    spec.write_text(SPEC.replace("bind batch", "use fold_scale\nbind batch"))
    done = run("qtnc", "compile", place.model, spec, "-o", place.out, "--verify-each", "--jobs", 2)
    assert done.returncode == 0, done.stderr
    assert run("qtnc", "verify", place.out).returncode == 0
    assert "monarch" in run("qtnc", "structures").stdout
    assert "fold-scale" in run("qtnc", "passes").stdout
    assert 'pip install "qtnc[testing]"' in run("python", "-c", CASE).stderr


def test_its_spec_is_about_the_example_model(installed: Installed) -> None:
    done = installed.qtnc("check", PLUGIN.parent / "tinylm" / "tinylm.onnx", PLUGIN / "monarch.qtn")
    assert done.returncode == 0, done.stderr
    assert "18 layers" in done.stdout
