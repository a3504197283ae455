"""Where a model will run follows from what the spec emits."""

from pathlib import Path

import pytest

from qtnc.compiler import BACKENDS
from qtnc.planner.runtimes import ONNXRUNTIME, TORCH, folded, runtimes_of
from qtnc.source import Source
from qtnc.spec.read import read_source
from qtnc.structures.registry import STRUCTURES


@pytest.mark.parametrize(
    ("emits", "runtimes", "once"),
    [
        (("onnx",), (ONNXRUNTIME,), True),
        (("torch",), (TORCH,), False),
        (("torch", "onnx"), (ONNXRUNTIME, TORCH), False),
        (("qiskit",), (ONNXRUNTIME,), True),
        (("qiskit", "torch"), (TORCH,), False),
    ],
)
def test_where_a_model_runs(emits: tuple[str, ...], runtimes: tuple[str, ...], once: bool) -> None:
    text = "".join(f"emit {backend}\n" for backend in emits)
    spec = read_source(Source("spec.qtn", f"qtn 1\n{text}"), STRUCTURES, BACKENDS, Path("/models"))
    assert runtimes_of(spec) == runtimes
    assert folded(spec) is once
