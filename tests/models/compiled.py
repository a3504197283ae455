"""Compiled folders: made by a few statements, with a clock that is said; what they store and what they compute."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from safetensors.numpy import load_file

from qtnc import compiler
from qtnc.compiler import Compiled, compile_model
from qtnc.planner.latency import LatencyMeter
from qtnc.planner.plan import Latency, LayerPlan

Array = NDArray[Any]
Load = Callable[[Path], torch.nn.Module]

TOLERANCE = 1e-4
"""Relative Frobenius error of outputs where nothing is cut off; float32 leaves 2e-7 to 6e-7 here."""


@contextmanager
def clock(ratio: float = 1.0) -> Iterator[None]:
    """Let every network take ``ratio`` times as long as the dense product, on any machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LatencyMeter, "measure", lambda meter, *product: Latency(product[-1], 1.0, ratio))
        patch.setattr(LatencyMeter, "times", lambda meter, *product: ())
        patch.setattr(compiler, "measure_speed", lambda *given: ())
        yield


def build(model: Path, out: Path, *statements: str, ratio: float = 1.0) -> Compiled:
    """Compile a model by a spec of these statements, which is written beside ``out``."""
    spec = out.with_name("spec.qtn")
    spec.write_text("\n".join(["qtn 1", *statements, "emit torch", "emit onnx", ""]))
    with clock(ratio):
        return compile_model(model, spec, out)


def every(structure: str) -> tuple[str, ...]:
    """Statements that rewrite all products."""
    return ("optimize memory", "select all = MatMul or Gemm", f"rewrite all -> {structure}")


def initializers(model: Path) -> dict[str, Array]:
    """Weights and constants of a graph, by name."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(model).graph.initializer}


def stored(out: Path) -> tuple[dict[str, Array], dict[str, Array]]:
    """What the ONNX and the torch form store, by name."""
    return initializers(out / "onnx" / "model.onnx"), load_file(out / "torch" / "model.safetensors")


def content(arrays: Mapping[str, Array]) -> Counter[tuple[str, tuple[int, ...], bytes]]:
    """Weights as bits, without their names; single numbers are a matter of how a graph is written."""
    return Counter((str(x.dtype), x.shape, x.tobytes()) for x in arrays.values() if x.size > 1 and x.dtype.kind == "f")


def cores(out: Path, layer: str) -> tuple[list[Array], list[Array]]:
    """Cores of a layer in the ONNX and in the torch form, in order."""
    by_onnx, by_torch = stored(out)
    plain = layer.replace(".", "_")
    count = sum(name.startswith(f"{layer}.core_") for name in by_onnx)
    assert count == sum(name.startswith(f"{plain}_core_") for name in by_torch)
    return [by_onnx[f"{layer}.core_{k}"] for k in range(count)], [by_torch[f"{plain}_core_{k}"] for k in range(count)]


def check_counts(entry: LayerPlan, out: Path) -> None:
    """Fail unless a layer's counts are those of its settled structure and of what both forms store."""
    for form in cores(out, entry.layer):
        assert sum(core.size for core in form) == entry.parameters
        assert sum(core.nbytes for core in form) == entry.bytes
    if entry.structure == "lowrank":
        assert entry.parameters == entry.settled["rank"] * sum(entry.shape)
    else:
        sites, ends = entry.settled["sites"], [1, *entry.settled["bonds"], 1]
        assert entry.parameters == sum(ends[k] * m * n * ends[k + 1] for k, (m, n) in enumerate(sites))


def outputs(out: Path, feeds: Mapping[str, Array], load: Load) -> tuple[list[Array], list[Array]]:
    """What the ONNX and the torch form compute."""
    session = ort.InferenceSession(out / "onnx" / "model.onnx", providers=["CPUExecutionProvider"])
    with torch.no_grad():
        found = load(out / "torch")(*(torch.from_numpy(x) for x in feeds.values()))
    return session.run(None, dict(feeds)), [y.numpy() for y in ([found] if isinstance(found, torch.Tensor) else found)]


def distance(expected: Array, got: Array) -> float:
    """Relative Frobenius distance, in float64."""
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    whole = expected.astype(np.float64)
    return float(np.linalg.norm(got - whole) / (np.linalg.norm(whole) or 1.0))


def check_same(
    expected: list[Array], out: Path, feeds: Mapping[str, Array], load: Load, tolerance: float = TOLERANCE
) -> None:
    """Fail unless both forms compute what is expected."""
    for form in outputs(out, feeds, load):
        for truth, y in zip(expected, form, strict=True):
            assert distance(truth, y) <= tolerance
