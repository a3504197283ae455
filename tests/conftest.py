"""What several folders of tests use: weights and covariances, models to try things on, the command line."""

import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

MODELS = Path(__file__).parent / "models"
PLUGIN = Path(__file__).parents[1] / "examples" / "plugin"
GOLDEN = Path(__file__).parent / "golden"

SPEC = """qtn 1
bind batch = 4
optimize memory
select up = MatMul where name ~ "up"
rewrite up -> lowrank(rank: 3)
emit torch
emit onnx
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite goldens with what is emitted now")


def load_source(path: Path, name: str) -> ModuleType:
    """Import a file by its path."""
    found = importlib.util.spec_from_file_location(name, path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    found.loader.exec_module(module)
    return module


def load(name: str) -> ModuleType:
    """Import one of tests/models."""
    return load_source(MODELS / f"{name}.py", f"models_{name}")


@pytest.fixture(scope="session")
def monarch() -> type[Any]:
    """The structure of the example package, which has no pass of its own."""
    kind: type[Any] = load_source(PLUGIN / "qtnc_monarch.py", "qtnc_monarch").Monarch
    return kind


@pytest.fixture(scope="session")
def load_page() -> Callable[[Path], dict[str, Any]]:
    """What the first block of Python on a page defines."""

    def load(path: Path) -> dict[str, Any]:
        block = re.search(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        assert block is not None
        module = ModuleType(f"page_{path.stem}")
        sys.modules[module.__name__] = module
        module.__file__ = str(path)
        exec(compile(block[1], str(path), "exec"), module.__dict__)  # noqa: S102 - our own page
        return vars(module)

    return load


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times are measured by the fewest calls: how long anything takes is no matter of tests."""
    monkeypatch.setattr("qtnc.planner.latency.BUDGET_SECONDS", 0.0)
    monkeypatch.setattr("qtnc.verify.speed.BUDGET_SECONDS", 0.0)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare text with a golden file; ``--update-golden`` rewrites it, a missing one fails."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert path.exists(), f"no golden {path}: make it with --update-golden and read it"
        assert text == path.read_text(), f"{path} differs: --update-golden rewrites it"

    return compare


@pytest.fixture(scope="session", autouse=True)
def _no_cache_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests fit is kept for them alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QTNC_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def toys() -> ModuleType:
    """Builders of models of a few nodes."""
    return load("toys")


@pytest.fixture(scope="session")
def vision() -> ModuleType:
    """Models of images."""
    return load("vision")


@pytest.fixture(scope="session")
def moe() -> ModuleType:
    """A decoder of mixtures of experts."""
    return load("moe")


@pytest.fixture(scope="session")
def mutate() -> ModuleType:
    """Models damaged at random."""
    return load("mutate")


@pytest.fixture(scope="session")
def compiled() -> ModuleType:
    """Compiled folders: how they are made, what they store and what they compute."""
    return load("compiled")


@pytest.fixture(scope="session")
def export_model() -> Callable[..., Path]:
    """Export a torch module to a file."""
    export: Callable[..., Path] = load("export").export
    return export


@pytest.fixture(scope="session")
def families(tmp_path_factory: pytest.TempPathFactory, export_model: Callable[..., Path]) -> Callable[[str, str], Any]:
    """``llama``, ``gpt2`` or ``bert`` by the exporter ``dynamo`` or ``legacy``, exported once a session."""
    write = load("families").write
    done: dict[tuple[str, str], Any] = {}

    def get(name: str, exporter: str) -> Any:
        if (name, exporter) not in done:
            path = tmp_path_factory.mktemp(f"{name}_{exporter}") / f"{name}.onnx"
            done[name, exporter] = write(name, load(name), export_model, exporter, path)
        return done[name, exporter]

    return get


@pytest.fixture(scope="session")
def decoders(
    tmp_path_factory: pytest.TempPathFactory, export_model: Callable[..., Path]
) -> Callable[[str, bool], Path]:
    """A decoder with a cache by the exporter ``dynamo`` or ``legacy``, with a past or without, exported once."""
    done: dict[tuple[str, bool], Path] = {}

    def get(exporter: str, past: bool) -> Path:
        if (exporter, past) not in done:
            path = tmp_path_factory.mktemp(exporter) / ("decode.onnx" if past else "prefill.onnx")
            done[exporter, past] = load("decoders").write(load("llama"), export_model, exporter, path, past=past)
        return done[exporter, past]

    return get


@pytest.fixture(scope="session")
def load_emitted() -> Callable[[Path], Any]:
    """Load the torch module emitted into a folder."""
    return lambda folder: load_source(folder / "model.py", f"emitted_{folder.name}").load()


@dataclass(frozen=True)
class Place:
    """A folder with a model and a spec."""

    folder: Path
    model: Path
    spec: Path
    out: Path


@pytest.fixture
def place(tmp_path: Path, toys: ModuleType) -> Place:
    """A folder with a small model, and a spec that rewrites one layer and emits both backends."""
    spec = tmp_path / "spec.qtn"
    spec.write_text(SPEC)
    return Place(tmp_path, toys.write(toys.mlp(), tmp_path / "model.onnx"), spec, tmp_path / "out")


@dataclass(frozen=True)
class Done:
    """One command that ran."""

    code: int
    out: str
    err: str


@pytest.fixture
def qtnc(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Run one command in this process."""
    from qtnc.cli import main

    def run(*arguments: Any) -> Done:
        capsys.readouterr()
        code = main([str(a) for a in arguments])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return Done(code, said.out, said.err)

    return run


@pytest.fixture(scope="session")
def make_weight() -> Callable[[str, int, int, int], Matrix]:
    """A weight (M, N): ``dense``, ``thin`` (rank 2 at most), ``sparse`` (zero rows and columns) or ``zero``."""

    def make(kind: str, rows: int, columns: int, seed: int) -> Matrix:
        rng = np.random.default_rng(seed)
        if kind == "thin":
            return np.asarray(rng.standard_normal((rows, 2)) @ rng.standard_normal((2, columns)))
        weight = rng.standard_normal((rows, columns))
        if kind == "sparse":
            weight[rng.random(rows) < 0.5] = 0.0
            weight[:, rng.random(columns) < 0.5] = 0.0
        if kind == "zero":
            weight[:] = 0.0
        return weight

    return make


@pytest.fixture(scope="session")
def make_covariance() -> Callable[[str, int, int], Matrix | None]:
    """A covariance (M, M): ``none``, ``full``, ``singular`` (few samples), ``steep`` (scales 1e-3 to 1e3), ``zero``."""

    def make(kind: str, size: int, seed: int) -> Matrix | None:
        rng = np.random.default_rng(seed + 1)
        if kind == "none":
            return None
        if kind == "zero":
            return np.zeros((size, size))
        samples = max(1, size // 3) if kind == "singular" else 4 * size
        x = rng.standard_normal((samples, size))
        if kind == "steep":
            x *= 10.0 ** rng.uniform(-3.0, 3.0, size)
        return np.asarray(x.T @ x / samples)

    return make


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Install a package of one module, as an installer would leave it.

    Its name, its entry points ``word = "module:Class"``, its source, its version, the group of the entry points.
    """
    site = tmp_path / "site"
    site.mkdir()
    made: list[str] = []
    monkeypatch.syspath_prepend(site)

    def put(
        package: str, words: dict[str, str], source: str = "", version: str = "1.0", group: str = "structures"
    ) -> Path:
        module = package.replace("-", "_")
        made.append(module)
        info = site / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        entries = "".join(f"{word} = {target}\n" for word, target in words.items())
        (info / "entry_points.txt").write_text(f"[qtnc.{group}]\n{entries}")
        (site / f"{module}.py").write_text(source)
        return site / f"{module}.py"

    yield put
    for module in made:
        sys.modules.pop(module, None)
