"""How long the whole model takes beside the original, in each runtime whose form is emitted."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnx_ir as ir

from qtnc.backends.torch.emit import compose
from qtnc.backends.torch.load import load_source
from qtnc.calibrate.data import Feed
from qtnc.errors import BackendError
from qtnc.pipeline import Pipeline
from qtnc.planner.alone import NATIVE, on_one_thread
from qtnc.planner.runtimes import ONNXRUNTIME, TORCH
from qtnc.planner.stopwatch import alternate
from qtnc.road.road import read_road
from qtnc.verify.check import Inputs
from qtnc.verify.compare import Runner
from qtnc.verify.runners import emitted_runner, ends_of, module_runner, onnx_runner

BUDGET_SECONDS = 0.3
"""Time given to one comparison, after a call of each that warms up; slow models are called once more in any case."""

LARGEST = 1 << 30
"""Bytes of weights up to which the original is written as torch code, to be timed."""


@dataclass(frozen=True)
class Speed:
    """Median milliseconds of the original and of ours on one batch, called in alternation on one thread.

    Attributes
    ----------
    data : name of the data, ``seeded`` where the spec names none.
    shapes : of the inputs in that batch.
    noise : how far the ratio may be off, half a 95 % interval; None where there were too few calls to tell.
    """

    runtime: str
    data: str
    shapes: Mapping[str, tuple[int, ...]]
    original_ms: float
    ours_ms: float
    noise: float | None
    threads: int = 1

    @property
    def ratio(self) -> float:
        """Ours over the original; above 1 is slower."""
        return self.ours_ms / self.original_ms if self.original_ms else 1.0

    def to_json(self) -> dict[str, Any]:
        """Plain data, with the ratio."""
        return asdict(self) | {"ratio": self.ratio}


def measure_speed(
    folder: Path, backends: Sequence[str], model: ir.Model, original: Path, checks: Sequence[Inputs]
) -> tuple[Speed, ...]:
    """Time the files in ``folder`` beside the original, on the first batch that is verified; none without inputs.

    Parameters
    ----------
    model : what was read of ``original``; it is brought into canonical form.
    """
    inputs = next((found for found in checks if found.feeds), None)
    if inputs is None:
        return ()
    data, feed = inputs.check.data or "seeded", inputs.feeds[0]
    found = []
    if "onnx" in backends and _runs_in_onnxruntime(model):
        ours = emitted_runner(folder, "onnx", model, threads=1)
        found.append(_compared(ONNXRUNTIME, data, feed, onnx_runner(original, threads=1), ours))
    if "torch" in backends and (truth := _original_in_torch(model)) is not None:
        found.append(_compared(TORCH, data, feed, truth, emitted_runner(folder, "torch", model)))
    return tuple(found)


def _runs_in_onnxruntime(model: ir.Model) -> bool:
    """Whether onnxruntime has kernels for the types of the weights, on a CPU."""
    kinds = {v.dtype for graph in model.graphs() for v in graph.initializers.values()}
    return not any(kind is not None and kind.is_floating_point() and kind not in NATIVE for kind in kinds)


def _compared(runtime: str, data: str, feed: Feed, original: Runner, ours: Runner) -> Speed:
    with on_one_thread(runtime):
        times = alternate(lambda: original(feed), lambda: ours(feed), BUDGET_SECONDS, fewest=1)
    shapes = {name: array.shape for name, array in feed.items()}
    return Speed(runtime, data, shapes, 1e3 * times.first, 1e3 * times.second, times.noise)


def _original_in_torch(model: ir.Model) -> Runner | None:
    """The original as the torch code that would be emitted for it; None where it is too large, or has none."""
    weights = (v.const_value for graph in model.graphs() for v in graph.initializers.values())
    if sum(tensor.nbytes for tensor in weights if tensor is not None) > LARGEST:
        return None
    try:
        source = compose(Pipeline(read_road().prepare({})).run(model).model)
    except BackendError:  # what could not be written may be among the layers that were rewritten
        return None
    return module_runner(load_source(source), *ends_of(model))
