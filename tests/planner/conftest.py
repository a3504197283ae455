"""Plans made in memory, with latencies that are not measured but said."""

from collections.abc import Callable, Mapping
from pathlib import Path

import onnx
import onnx_ir as ir
import pytest
from onnx.shape_inference import infer_shapes

from qtnc.calibrate.data import DataSet
from qtnc.compiler import BACKENDS, prepare
from qtnc.planner.latency import LatencyMeter
from qtnc.planner.plan import Latency
from qtnc.planner.planner import Planned, make_plan
from qtnc.source import Source
from qtnc.spec.read import read_source
from qtnc.structures.registry import STRUCTURES


@pytest.fixture(scope="session")
def canonical() -> Callable[[onnx.ModelProto], ir.Model]:
    """A model as the planner meets it."""
    return lambda proto: prepare(ir.from_proto(infer_shapes(proto)))


@pytest.fixture(scope="session")
def planned(canonical: Callable[[onnx.ModelProto], ir.Model]) -> Callable[..., Planned]:
    """Plan a model by the statements of a spec; every network takes ``ratio`` times what dense takes."""

    def run(
        proto: onnx.ModelProto, statements: str, data: Mapping[str, DataSet] | None = None, ratio: float = 1.0
    ) -> Planned:
        source = Source("spec.qtn", f"qtn 1\n{statements}emit onnx\n")
        spec = read_source(source, STRUCTURES, BACKENDS, Path("/models"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(LatencyMeter, "measure", lambda meter, *product: Latency(product[-1], 1.0, ratio))
            patch.setattr(LatencyMeter, "times", lambda meter, *product: ())
            return make_plan(canonical(proto), spec, data or {}, "model.onnx")

    return run
