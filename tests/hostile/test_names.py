"""Hostile names through every exit: what is written parses, runs and stays in its folder, as with harmless ones."""

import ast
import re
import shutil
import unicodedata
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

SPEC = """qtn 1
optimize memory
select all = MatMul
rewrite all -> lowrank(rank: 2)
emit torch
emit onnx
"""

CIRCUITS = """qtn 1
optimize memory
select one = top 1 of MatMul by elements
rewrite one -> circuit(depth: 1) | mpo(sites: 2, max_bond: 2)
emit torch
emit onnx
emit qiskit
"""

PLAIN = re.compile(r"[A-Za-z0-9_.-]+")


class Page(HTMLParser):
    """Tags and attributes of a page but for the colours of times, which are this run's; no comments."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.held: Counter[str] = Counter()
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        if (tag, attributes) not in (("span", [("class", "good")]), ("span", [("class", "bad")])):
            self.held.update([tag, *(f"{tag} {key}" for key, _ in attributes)])

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


LINES = {"Assign", "Name", "Load", "Store", "Return"}
"""Where long names break an expression over lines, what it comes to is given a name."""


def structure(path: Path) -> Counter[str]:
    """What a module is made of, but for names, numbers and texts, and how many lines it takes."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return Counter(type(node).__name__ for node in ast.walk(tree) if type(node).__name__ not in LINES)


def imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return named | {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}


def check_files(folder: Path) -> None:
    """Names on disk are plain, short, and apart also where a disk tells neither case nor composition."""
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
    assert all(PLAIN.fullmatch(part) and len(part) <= 255 for name in names for part in name.split("/"))
    folded = [unicodedata.normalize("NFKC", name).casefold() for name in names]
    assert len(set(folded)) == len(names)


def through(sandbox: Any, model: Any, toys: ModuleType, spec: str, *options: str) -> Path:
    """Compile a model and look at it by every command; all must end well."""
    for path in sandbox.work.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    toys.write(model, sandbox.work / "model.onnx")
    (sandbox.work / "spec.qtn").write_text(spec)
    steps: list[tuple[Any, ...]] = [
        ("inspect", "model.onnx", "--spectra"),
        ("inspect", "model.onnx", "--format", "json"),
        ("plan", "model.onnx", "spec.qtn", "--format", "json"),
        ("compile", "model.onnx", "spec.qtn", "-o", "out", "--print-ir-after", "--timing", *options),
        ("verify", "out", "--format", "json"),
        ("opt", "out.ir/05-matmul-to-circuit.qir", "--pass-pipeline", "lower-to-onnx", "-o", "again.onnx"),
        ("opt", "out.ir/08-lower-to-onnx.onnx", "--pass-pipeline", "canonicalize"),
    ]
    for step in steps:
        done = sandbox.run(*step)
        assert (done.code, done.errors) == (0, []), f"{step}: {done.err}"
    out: Path = sandbox.work / "out"
    check_files(out)
    check_files(sandbox.work / "out.ir")
    return out


@pytest.fixture(scope="module")
def harmless(server: Any, tmp_path_factory: pytest.TempPathFactory, toys: ModuleType, hostile: ModuleType) -> Any:
    """The same model under plain names: what its code and its page are made of."""
    sandbox = hostile.Sandbox(server, tmp_path_factory.mktemp("harmless") / "box")
    out = through(sandbox, hostile.named(toys, "every", "n_"), toys, SPEC)
    return structure(out / "torch" / "model.py"), Page(out / "report.html").held, imports(out / "torch" / "model.py")


def check_same(out: Path, harmless: Any) -> None:
    code, page, modules = harmless
    assert structure(out / "torch" / "model.py") == code
    assert imports(out / "torch" / "model.py") == modules
    assert Page(out / "report.html").held == page


@pytest.mark.parametrize("kind", ["code", "nul", "long", "terminal", "markup", "up", "turned", "newline"])
def test_at_every_place(kind: str, sandbox: Any, toys: ModuleType, hostile: ModuleType, harmless: Any) -> None:
    check_same(through(sandbox, hostile.named(toys, "every", hostile.NASTY[kind]), toys, SPEC), harmless)


@pytest.mark.conformance
@pytest.mark.parametrize("kind", ["quote", "code", "braces", "long unicode", "decomposed", "keyword", "drive"])
def test_at_each_place(kind: str, sandbox: Any, toys: ModuleType, hostile: ModuleType) -> None:
    for place in hostile.PLACES:
        through(sandbox, hostile.named(toys, place, hostile.NASTY[kind]), toys, SPEC)


@settings(
    max_examples=6,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(name=st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_text(name: str, sandbox: Any, toys: ModuleType, hostile: ModuleType, harmless: Any) -> None:
    check_same(through(sandbox, hostile.named(toys, "every", name), toys, SPEC), harmless)


@pytest.mark.parametrize("kind", ["code", "long", "nul"])
def test_circuits(kind: str, sandbox: Any, toys: ModuleType, hostile: ModuleType) -> None:
    model = hostile.named(toys, "every", hostile.NASTY[kind])
    out = through(sandbox, model, toys, CIRCUITS, "--verify-each")
    for path in (out / "qiskit").glob("*.py"):
        assert imports(path) <= {
            "collections.abc",
            "pathlib",
            "qiskit",
            "qiskit.circuit",
            "safetensors",
            "numpy",
            *IMPORTS,
        }
    np.savez(sandbox.work / "rows.npz", x=np.ones((2, 16)))
    done = sandbox.run("run", "out", "--input", "rows.npz", "--shots", "64")
    assert (done.code, done.errors) == (0, [])


IMPORTS = {"__future__", "safetensors.numpy", "collections", "typing"}


def test_layers_apart_by_case_and_composition_only(sandbox: Any, toys: ModuleType) -> None:
    model = toys.mlp()
    for node, name in zip((model.graph.node[0], model.graph.node[2]), ("Caf\u00e9", "cafe\u0301"), strict=True):
        node.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=repr(["", name, "n"]))
    through(sandbox, model, toys, CIRCUITS.replace("top 1 of MatMul by elements", "MatMul"))


def test_a_model_file_may_be_called_anything(sandbox: Any, toys: ModuleType) -> None:
    name = "\x1b[31m<script>'\"{{x}}\u202e.onnx"
    toys.write(toys.mlp(), sandbox.work / name)
    (sandbox.work / "a\x1b[2J.qtn").write_text(SPEC)
    assert sandbox.run("inspect", name).code == 0
    done = sandbox.run("compile", name, "a\x1b[2J.qtn", "-o", "o\x1b[31mut")
    assert (done.code, done.errors) == (0, [])
    Page(sandbox.work / "o\x1b[31mut" / "report.html")
    assert sandbox.run("verify", "o\x1b[31mut").code == 0
    assert sandbox.run("inspect", "absent\x1b[31m").code == 1
