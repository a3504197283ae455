"""Plans written by hand, of which a test changes what it is about."""

from collections.abc import Callable
from typing import Any

import pytest

from qtnc.planner.plan import Baselines, CircuitCost, Estimate, Latency, LayerPlan, Plan


@pytest.fixture(scope="session")
def entry() -> Callable[..., LayerPlan]:
    """A layer that becomes low rank."""

    def make(**changes: Any) -> LayerPlan:
        plain: dict[str, Any] = {
            "layer": "layers.0.up",
            "op": "MatMul",
            "shape": (16, 24),
            "rule": "spec.qtn:5",
            "overruled": (),
            "structure": "lowrank",
            "settled": {"rank": 3},
            "metric": "weights",
            "predicted_error": 0.25,
            "parameters": 120,
            "original_parameters": 384,
            "bytes": 480,
            "original_bytes": 1536,
            "rows": 4,
            "flops": 960,
            "dense_flops": 3072,
            "latency": Latency(4, 2.0, 1.0),
            "baselines": Baselines(0.3, None, 0.004, 0.08),
            "circuits": None,
            "reason": "rank as asked",
        }
        return LayerPlan(**(plain | changes))

    return make


@pytest.fixture(scope="session")
def circuits(entry: Callable[..., LayerPlan]) -> LayerPlan:
    """A layer that becomes circuits around an operator."""
    inner = {"structure": "mpo", "sites": [[4, 4], [4, 8]], "bonds": [2]}
    settled = {"depth": 2, "layout": "cross", "layers": {"input": [], "output": []}, "inner": inner}
    cost = CircuitCost((5, 6), (4, 5), (2, 3), 54, (8, 10), (26, 57), 0.05, 36_812, 100_000, 0.0303)
    return entry(layer="turned", structure="circuit", settled=settled, circuits=cost)


@pytest.fixture(scope="session")
def dense(entry: Callable[..., LayerPlan]) -> Callable[..., LayerPlan]:
    """A layer that stays as it is."""

    def make(**changes: Any) -> LayerPlan:
        stays = {"structure": "dense", "settled": {}, "predicted_error": 0.0, "latency": None, "baselines": None}
        counts = {"parameters": 384, "bytes": 1536, "flops": 3072, "reason": "declined: it is odd"}
        return entry(**(stays | counts | changes))

    return make


@pytest.fixture(scope="session")
def make_plan(entry: Callable[..., LayerPlan]) -> Callable[..., Plan]:
    """A plan of the given layers."""

    def make(*layers: LayerPlan, **changes: Any) -> Plan:
        plain: dict[str, Any] = {
            "model": "model.onnx",
            "spec": "spec.qtn",
            "stage": None,
            "optimize": "memory",
            "binds": {"batch": 4},
            "layers": layers,
            "unclaimed": 1,
            "model_parameters": 1576,
            "model_bytes": 6304,
            "parameters": 1312,
            "bytes": 5248,
            "notes": (),
            "estimate": Estimate(3.2, 26_900),
        }
        return Plan(**(plain | changes))

    return make
