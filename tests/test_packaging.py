"""What is installed is what is in the checkout, and nothing heavy loads before it is needed."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from qtnc.passes import PASSES

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HOMES = {"qtnc.passes": "passes", "qtnc.grammar": "grammar"}


def on_disk() -> set[str]:
    inner = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "qtnc").rglob("__init__.py")}
    return inner | set(HOMES)


def test_every_package_is_listed() -> None:
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == on_disk()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    out = tmp_path_factory.mktemp("dist")
    # From the sdist to the wheel, as an installer without a wheel would do it.
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return zipfile.ZipFile(next(out.glob("*.whl")))


def test_the_wheel_holds_every_module_and_grammar(wheel: zipfile.ZipFile) -> None:
    expected = set()
    for package in on_disk():
        folder = ROOT / HOMES.get(package, package.replace(".", "/"))
        suffixes = {".py", ".lark", ".j2", ".typed"}
        expected |= {
            f"{package.replace('.', '/')}/{f.name}"
            for f in folder.iterdir()
            if f.suffix in suffixes or f.name == "py.typed"
        }
    expected |= {f"qtnc/grammar/recipes/{f.name}" for f in (ROOT / "grammar" / "recipes").iterdir()}
    assert expected <= set(wheel.namelist())
    assert not [name for name in wheel.namelist() if name.startswith(("passes/", "grammar/", "tests/"))]
    assert not [name for name in wheel.namelist() if "vscode" in name]  # editors have packages of their own


def test_the_wheel_carries_the_licence_and_the_extra(wheel: zipfile.ZipFile) -> None:
    metadata = next(name for name in wheel.namelist() if name.endswith("METADATA"))
    text = wheel.read(metadata).decode()
    assert "License-Expression: Apache-2.0" in text
    assert re.search(r"Requires-Dist: qiskit.*extra == ['\"]quantum['\"]", text)
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())


@pytest.mark.parametrize("code", ["import qtnc", "import qtnc.cli; qtnc.cli.main(['--help'])"])
def test_nothing_heavy_loads_early(code: str) -> None:
    probe = (
        "import sys, contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        f"    {code}\n"
        "print([m for m in ('torch', 'qiskit', 'onnx', 'onnxruntime', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", PASSES)
def test_a_pass_has_one_name_in_three_spellings(name: str) -> None:
    module, _, class_name = PASSES[name].partition(":")
    assert module == "qtnc.passes." + name.replace("-", "_")
    assert class_name == "".join(word.capitalize() for word in name.split("-"))
    found = getattr(__import__(module, fromlist=[class_name]), class_name)
    assert found.name == name


def test_every_pass_is_in_the_table() -> None:
    files = {path.stem for path in (ROOT / "passes").glob("*.py")} - {"__init__"}
    assert {name.replace("-", "_") for name in PASSES} == files
