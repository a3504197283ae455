"""Models damaged at random, compiled from beginning to end: what comes out is right, or one clear error."""

import random
import shutil
from types import ModuleType
from typing import Any

import pytest

SPEC = """qtn 1
optimize memory
select all = MatMul or Gemm or Conv
rewrite all -> lowrank(rank: 2)
emit onnx
"""

SEEDS = ("mlp", "branching", "old", "reader", "functions")


def whole(name: str, toys: ModuleType, hostile: Any) -> bytes:
    made = hostile.laughs(toys, 3, 2) if name == "functions" else getattr(toys, name)()
    return bytes(made.SerializeToString())


def sweep(box: Any, models: dict[str, bytes], level: str, count: int, mutate: ModuleType) -> dict[int, int]:
    """Exit codes of ``count`` compiles, and how often."""
    (box.work / "torch.qtn").write_text(SPEC + "emit torch\n")
    (box.work / "onnx.qtn").write_text(SPEC)
    codes: dict[int, int] = {}
    for seed in range(count):
        name = SEEDS[seed % len(SEEDS)]
        rng = random.Random(seed)  # noqa: S311 - damage to repeat, not to keep secret
        (box.work / "model.onnx").write_bytes(mutate.MUTATORS[level](models[name], rng))
        try:
            spec = "onnx.qtn" if name == "branching" else "torch.qtn"  # torch has no forms of If and Loop
            done = box.run("compile", "model.onnx", spec, "-o", "out")
            each = all(" tensor '" in error or "torch cannot" in error for error in done.errors)
            assert len(done.errors) <= 1 or each  # of several, every one is named
            assert (box.work / "out").exists() == (done.code in (0, 3))
        except AssertionError as error:
            raise AssertionError(f"{level}, {name}, seed {seed}: {error}") from error
        codes[done.code] = codes.get(done.code, 0) + 1
        shutil.rmtree(box.work / "out", ignore_errors=True)
    return codes


@pytest.fixture
def models(toys: ModuleType, hostile: Any) -> dict[str, bytes]:
    return {name: whole(name, toys, hostile) for name in SEEDS}


@pytest.mark.parametrize("level", ["bytes", "fields", "graph"])
def test_some(level: str, sandbox: Any, models: dict[str, bytes], mutate: ModuleType) -> None:
    codes = sweep(sandbox, models, level, 34, mutate)
    assert codes.get(1)  # damage is found


@pytest.mark.conformance
@pytest.mark.parametrize("level", ["bytes", "fields", "graph"])
def test_a_thousand(level: str, sandbox: Any, models: dict[str, bytes], mutate: ModuleType) -> None:
    codes = sweep(sandbox, models, level, 1000, mutate)
    assert codes.get(1)
