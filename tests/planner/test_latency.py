"""Times are measured, once for each product, in alternation and as medians."""

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite, prod
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
from numpy.typing import NDArray

from qtnc.planner import latency
from qtnc.planner.latency import Chain, LatencyMeter
from qtnc.planner.plan import Latency
from qtnc.structures.lowrank import LowRank
from qtnc.structures.mpo import Mpo
from qtnc.tensor.network import TensorNetwork
from qtnc.tensor.order import choose_path, x_first

Floats = NDArray[np.float32]

SMALL = LowRank(rank=3).network((16, 24))
OPERATOR = Mpo(sites=((4, 4), (4, 6)), bonds=(5,)).network((16, 24))
BACK = LowRank(rank=2).network((24, 16))
PADDED = Mpo(sites=((2, 3), (4, 5)), bonds=(3,)).network((7, 13))
"""Modes 2 x 4 and 3 x 5 for 7 and 13 features: x is padded, y is cut."""

CHAINS = {
    "low rank": (SMALL,),
    "operator": (OPERATOR,),
    "padded": (PADDED,),
    "one number": (LowRank(rank=1).network((1, 1)),),
    "one after another": (LowRank(rank=2).network((9, 7)), PADDED),
}


def chain(*networks: TensorNetwork) -> Chain:
    return tuple((network, x_first(network)) for network in networks)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fewest repetitions that are ever taken."""
    monkeypatch.setattr(latency, "BUDGET_SECONDS", 0.0)


def through(x: Floats, network: TensorNetwork, cores: Sequence[Floats]) -> Floats:
    """``x . N`` by one einsum, x padded with zeros and y cut."""
    modes, (M, N) = network.sizes(network.inputs[0]), network.features
    letter = {index: chr(ord("a") + k) for k, index in enumerate(network.size_dict)}
    terms = ["".join(letter[i] for i in indices) for indices in (*network.inputs, network.output)]
    whole = np.pad(x, ((0, 0), (0, prod(modes) - M))).reshape(len(x), *modes)
    y = np.einsum(f"z{','.join(terms[:-1])}->z{terms[-1]}", whole, *cores)
    return np.asarray(y.reshape(len(x), -1)[:, :N])


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("rows", [1, 8])
@pytest.mark.parametrize("opset", [13, 18, 25])
def test_what_is_timed_is_the_product(name: str, rows: int, opset: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[onnxruntime.InferenceSession, list[Floats]]] = []
    session_of = latency.session_of

    def noted(model: ir.Model) -> onnxruntime.InferenceSession:
        tensors = [v.const_value for v in model.graph.initializers.values() if v.const_value is not None]
        made.append((session_of(model), [t.numpy() for t in tensors if t.dtype == ir.DataType.FLOAT]))
        return made[-1][0]

    monkeypatch.setattr(latency, "session_of", noted)
    networks = CHAINS[name]
    found = LatencyMeter(opset).measure(tuple((n, choose_path(n, rows)) for n in networks), rows)
    assert found.rows == rows
    for value in (found.dense_ms, found.ours_ms, found.ratio):
        assert isfinite(value)
        assert value > 0.0

    (dense, (weight,)), (ours, weights) = sorted(made, key=lambda made: len(made[1]))
    assert weight.shape == (networks[0].features[0], networks[-1].features[1])
    x = np.random.default_rng(1).standard_normal((rows, len(weight))).astype(np.float32)
    cores, want = iter(weights), x
    for network in networks:
        want = through(want, network, [next(cores) for _ in network.core_shapes])
    # A few sums of at most 24 float32 products, right to some 1e-6 of the largest.
    for session, y in ((dense, x @ weight), (ours, want)):
        np.testing.assert_allclose(session.run(None, {"x": x})[0], y, atol=1e-5 * np.abs(y).max())


def test_a_product_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[int] = []

    def count(meter: LatencyMeter, chain: Chain, rows: int) -> Latency:
        measured.append(rows)
        return Latency(rows, 1.0, float(len(measured)))

    monkeypatch.setattr(LatencyMeter, "_measure", count)
    meter = LatencyMeter(18)
    equal = Mpo(sites=((4, 4), (4, 6)), bonds=(5,)).network((16, 24))
    assert equal is not OPERATOR
    first = meter.measure(chain(OPERATOR), 8)
    assert meter.measure(chain(equal), 8) is first

    wider = Mpo(sites=((4, 4), (4, 6)), bonds=(6,)).network((16, 24))
    # The same cores for less of a weight: dense is another product, and x is padded.
    narrow = Mpo(sites=((4, 4), (4, 6)), bonds=(5,)).network((15, 24))
    rebuilt = ((OPERATOR, ((1, 2), (0, 3))),)
    others = [(chain(OPERATOR), 9), (rebuilt, 8), (chain(wider), 8), (chain(narrow), 8), (chain(SMALL, BACK), 8)]
    assert [meter.measure(*other).ours_ms for other in others * 2] == [2.0, 3.0, 4.0, 5.0, 6.0] * 2
    assert measured == [8, 9, 8, 8, 8, 8]
    LatencyMeter(18).measure(chain(OPERATOR), 8)
    assert len(measured) == 7


class Clock:
    """A clock that products move forward: dense and ours take the seconds that they are given, in turn."""

    def __init__(self, dense: list[float], ours: list[float]) -> None:
        self.now, self.order = 0.0, ""
        self.seconds = {"d": iter(dense), "o": iter(ours)}

    def session(self, chain: Chain) -> "Product":
        (product, _), *_ = chain
        return Product(self, "d" if len(product.core_shapes) == 1 else "o")

    def take(self, kind: str) -> None:
        self.order += kind
        self.now += next(self.seconds[kind])


class Product:
    def __init__(self, clock: Clock, kind: str) -> None:
        self.clock, self.kind = clock, kind

    def run(self, outputs: None, feed: dict[str, Any]) -> None:
        assert feed["x"].shape == (2, 16)
        self.clock.take(self.kind)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock(dense=[9.0, 1.0, 4.0, 2.0, 3.0], ours=[90.0, 30.0, 10.0, 20.0, 90.0])
    monkeypatch.setattr(latency, "perf_counter", lambda: made.now)
    monkeypatch.setattr(LatencyMeter, "_session", lambda meter, chain: made.session(chain))
    return made


def test_the_first_run_is_warming_and_the_median_counts(clock: Clock) -> None:
    found = LatencyMeter(18).measure(chain(SMALL), 2)
    # Medians of 1, 4, 2, 3 and of 30, 10, 20, 90 seconds.
    assert found == Latency(2, 2500.0, 25000.0)
    assert found.ratio == 10.0
    assert clock.order == "do" * 5


def test_it_goes_on_while_there_is_time(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "BUDGET_SECONDS", 100.0)
    clock.seconds = {"d": iter([4.0] * 99), "o": iter([6.0] * 99)}
    assert LatencyMeter(18).measure(chain(SMALL), 2) == Latency(2, 4000.0, 6000.0)
    assert clock.order == "do" * 10


@pytest.mark.parametrize("stack", [(4,), (2, 3)])
def test_a_stack_is_timed_beside_the_dense_stack(stack: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Both models get rows for each matrix, and compute what numpy's product of matrices does."""
    seen: list[tuple[ir.Model, Floats, Floats]] = []
    whole = latency.session_of

    def session_of(model: ir.Model) -> Any:
        session = whole(model)

        class Watched:
            def run(self, names: None, feeds: dict[str, Floats]) -> list[Floats]:
                (y,) = session.run(names, feeds)
                seen.append((model, feeds["x"], y))
                return [y]

        return Watched()

    monkeypatch.setattr(latency, "session_of", session_of)
    network = replace(SMALL, stack=stack)
    rows = 3 * prod(stack)
    assert LatencyMeter(18).measure(((network, x_first(network)),), rows).rows == rows
    for model, x, y in seen:
        weights = [v.const_value.numpy() for v in model.graph.initializers.values() if v.const_value is not None]
        floats = [weight for weight in weights if weight.dtype == np.float32]
        assert (x.shape, y.shape) == ((*stack, 3, 16), (*stack, 3, 24))
        assert all(weight.shape[: len(stack)] == stack for weight in floats)
        expected = x
        for weight in floats:
            expected = expected @ weight
        np.testing.assert_allclose(y, expected, rtol=1e-3, atol=1e-3)  # float32, sums of 16 and 3 products
    assert {len(model.graph.initializers) for model, _, _ in seen} == {1, 2}
