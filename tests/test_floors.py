"""Imports go to lower floors only; the table is the one in docs/architecture.md."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FLOORS = [
    {"qtnc.source"},
    {"qtnc.errors"},
    {"qtnc.roofline"},
    {"qtnc.tensor", "qtnc.quantum", "qtnc.grammar"},
    {"qtnc.ir", "qtnc.work"},
    {"qtnc.structures", "qtnc.pipeline"},
    {"qtnc.plugins"},
    {"qtnc.rewrite", "qtnc.rules"},
    {"qtnc.spec", "qtnc.importers", "qtnc.calibrate", "qtnc.backends"},
    {"qtnc.passes", "qtnc.authoring"},
    {"qtnc.road"},
    {"qtnc.output"},
    {"qtnc.planner"},
    {"qtnc.verify"},
    {"qtnc.look"},
    {"qtnc.report"},
    {"qtnc.bench"},
    {"qtnc.run"},
    {"qtnc.reduce"},
    {"qtnc.compiler"},
    {"qtnc.lsp"},
    {"qtnc.cli", "qtnc.api", "qtnc.testing"},
    {"qtnc.__main__"},
]

PASSES_MAY_NOT = {"qtnc.spec", "qtnc.importers", "qtnc.calibrate", "qtnc.backends"}

FILES = [
    *(
        (path, f"qtnc.{'.'.join(path.relative_to(ROOT / 'qtnc').with_suffix('').parts)}")
        for path in sorted((ROOT / "qtnc").rglob("*.py"))
    ),
    *((path, f"qtnc.passes.{path.stem}") for path in sorted((ROOT / "passes").glob("*.py"))),
    *((path, f"qtnc.grammar.{path.stem}") for path in sorted((ROOT / "grammar").glob("*.py"))),
]


def part(module: str) -> str:
    return ".".join(module.split(".")[:2])


def floor(module: str) -> int:
    for number, parts in enumerate(FLOORS):
        if part(module) in parts:
            return number
    raise AssertionError(f"{module} has no floor: add it to FLOORS and to docs/architecture.md")


def imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.append(node.module or "")
    return [name for name in found if name == "qtnc" or name.startswith("qtnc.")]


@pytest.mark.parametrize(("path", "module"), FILES, ids=[module for _, module in FILES])
def test_imports_go_down(path: Path, module: str) -> None:
    if module == "qtnc.__init__":
        return  # what it offers it loads when asked; tests/test_packaging.py holds that
    for imported in imports(path):
        if imported == "qtnc" or part(imported) == part(module):
            continue
        assert floor(imported) < floor(module), f"{module} imports {imported} from the same floor or above"
        if part(module) == "qtnc.passes":
            assert part(imported) not in PASSES_MAY_NOT, f"a pass imports {imported}"


def test_files_stay_small_enough_to_read() -> None:
    long = {
        str(path): lines for path, _ in FILES if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert long == {}


def test_every_floor_is_in_the_docs() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for parts in FLOORS:
        for name in parts:
            word = name.removeprefix("qtnc.")
            assert f"`{word}" in page, f"docs/architecture.md does not name {word}"
