"""The example compiles by its spec, its figures are reproducible, and the app runs where qtnc is not installed."""

import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from qtnc.compiler import Compiled, compile_model

EXAMPLES = Path(__file__).parents[2] / "examples"
TINYLM = EXAMPLES / "tinylm"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    return compile_model(TINYLM / "tinylm.onnx", TINYLM / "classical.qtn", tmp_path_factory.mktemp("tinylm") / "out")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run Python where everything but qtnc is installed: links to all other packages, and no site-packages."""
    folder = tmp_path_factory.mktemp("bare")
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "qtnc" not in entry.name and entry.suffix != ".pth":
            (folder / entry.name).symlink_to(entry)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        code = (
            "import runpy, sys\n"
            f"sys.path[:] = [p for p in sys.path if 'site-packages' not in p] + [{str(folder)!r}]\n"
            "sys.argv = sys.argv[1:]\n"
            "runpy.run_path(sys.argv[0], run_name='__main__')\n"
            "assert 'qtnc' not in sys.modules\n"
            "import importlib.util\n"
            "assert importlib.util.find_spec('qtnc') is None\n"
        )
        return subprocess.run([sys.executable, "-I", "-S", "-c", code, *arguments], capture_output=True, text=True)

    return run


def perplexity(model: Path) -> float:
    """Perplexity by the example's own evaluate.py, in a process of its own."""
    command = [sys.executable, str(TINYLM / "evaluate.py"), str(model)]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(out.split("perplexity:")[1].split()[0])


def test_the_example_holds_what_its_spec_asks(compiled: Compiled) -> None:
    assert compiled.holds
    assert {verdict.data for verdict in compiled.verdicts} == {"heldout"}
    assert compiled.plan.parameters < compiled.plan.model_parameters


def test_the_perplexity_in_the_readme_is_what_the_model_has(compiled: Compiled) -> None:
    original = perplexity(TINYLM / "tinylm.onnx")
    readme = (TINYLM / "README.md").read_text(encoding="utf-8")
    # Three decimals, as printed; kernels differ between machines in the last of them.
    stated = float(readme.split("held-out perplexity:")[1].split()[0])
    assert original == pytest.approx(stated, rel=1e-3)
    # A compressed model is worse than the original and far better than a uniform guess among 1,024 pieces.
    assert original < perplexity(compiled.out / "onnx" / "model.onnx") < 100


@pytest.mark.parametrize("form", [[], ["--onnx"]])
def test_the_app_runs_without_qtnc(
    compiled: Compiled, bare: Callable[..., subprocess.CompletedProcess[str]], form: list[str]
) -> None:
    app = str(EXAMPLES / "app" / "app.py")
    done = bare(app, str(compiled.out), "The function returns", "--length", "8", *form)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("The function returns")
    assert len(done.stdout.strip()) > len("The function returns")


def test_both_forms_continue_alike(compiled: Compiled, bare: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    app = str(EXAMPLES / "app" / "app.py")
    texts = {bare(app, str(compiled.out), "Return a", "--length", "12", *form).stdout for form in ([], ["--onnx"])}
    assert len(texts) == 1


def test_the_data_is_what_the_spec_says() -> None:
    for name in ("calib", "heldout"):
        with np.load(TINYLM / f"{name}.npz") as arrays:
            assert arrays["input_ids"].shape == (64, 128)
            assert arrays["input_ids"].dtype == np.int64
