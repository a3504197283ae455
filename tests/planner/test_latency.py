"""What is timed is the product in the form that is emitted, once in each runtime; and what follows from it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import isfinite, prod

import numpy as np
import onnx_ir as ir
import pytest
import torch
from numpy.typing import NDArray

from qtnc.planner import latency
from qtnc.planner.alone import Chain, in_onnxruntime, in_torch, measured_in, model_of, on_one_thread
from qtnc.planner.latency import MOST_ROWS, ROWS, LatencyMeter
from qtnc.planner.plan import MARGIN, Latency
from qtnc.planner.runtimes import ONNXRUNTIME, RUNTIMES, TORCH
from qtnc.planner.stopwatch import Comparison
from qtnc.quantum.circuit import Circuit, run
from qtnc.quantum.schedule import fuse
from qtnc.structures.lowrank import LowRank
from qtnc.structures.mpo import Mpo
from qtnc.tensor.network import TensorNetwork
from qtnc.tensor.order import choose_path, x_first

Array = NDArray[np.float64]

FLOAT = ir.DataType.FLOAT
SMALL = LowRank(rank=3).network((16, 24))
OPERATOR = Mpo(sites=((4, 4), (4, 6)), bonds=(5,)).network((16, 24))
BACK = LowRank(rank=2).network((24, 16))
PADDED = Mpo(sites=((2, 3), (4, 5)), bonds=(3,)).network((7, 13))
"""Modes 2 x 4 and 3 x 5 for 7 and 13 features: x is padded, y is cut."""

ENTER, LEAVE = Circuit(3, ((0, 2), (0, 1)), (7, 8)), Circuit(4, ((0, 2), (1, 3)), (16, 13))

CHAINS: dict[str, tuple[TensorNetwork | Circuit, ...]] = {
    "dense": (),
    "low rank": (SMALL,),
    "operator": (OPERATOR,),
    "padded": (PADDED,),
    "one number": (LowRank(rank=1).network((1, 1)),),
    "primes": (Mpo(sites=((13, 1), (1, 17)), bonds=(3,)).network((13, 17)),),
    "circuits": (ENTER, Mpo(sites=((2, 4), (4, 4)), bonds=(2,)).network((8, 16)), LEAVE),
}


def in_order(parts: Sequence[TensorNetwork | Circuit], rows: int = 1) -> Chain:
    return [(p, fuse(p, 2) if isinstance(p, Circuit) else choose_path(p, rows)) for p in parts]


def shape_of(parts: Sequence[TensorNetwork | Circuit]) -> tuple[int, int]:
    return (parts[0].features[0], parts[-1].features[1]) if parts else (6, 9)


def through(x: Array, part: TensorNetwork | Circuit, cores: Sequence[Array]) -> Array:
    """One part by one einsum, x padded with zeros and y cut; a circuit gate by gate."""
    if isinstance(part, Circuit):
        return run(part, cores[0], x)
    sizes, (M, N) = part.sizes(part.inputs[0]), part.features
    letter = {index: chr(ord("a") + k) for k, index in enumerate(part.size_dict)}
    terms = ["".join(letter[i] for i in indices) for indices in (*part.inputs, part.output)]
    whole = np.pad(x, ((0, 0), (0, prod(sizes) - M))).reshape(len(x), *sizes)
    y = np.einsum(f"z{','.join(terms[:-1])}->z{terms[-1]}", whole, *cores)
    return np.asarray(y.reshape(len(x), -1)[:, :N])


def expected(parts: Sequence[TensorNetwork | Circuit], model: ir.Model, x: Array) -> Array:
    held = [np.asarray(v.const_value.numpy(), np.float64) for v in model.graph.initializers.values() if v.const_value]
    if not parts:
        return np.asarray(x @ held[0])
    cores, y = iter(held), x
    for part in parts:
        y = through(y, part, [next(cores) for _ in part.core_shapes])
    return y


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("rows", [1, 8])
@pytest.mark.parametrize("opset", [13, 18, 25])
def test_what_is_timed_is_the_product(name: str, rows: int, opset: int) -> None:
    parts = CHAINS[name]
    x = np.random.default_rng(0).standard_normal((rows, shape_of(parts)[0]))
    made = model_of(in_order(parts, rows), shape_of(parts), FLOAT, opset)
    want = expected(parts, made, x.astype(np.float32).astype(np.float64))
    by_torch = in_torch(made.clone())(rows)()
    (by_onnx,) = in_onnxruntime(made)(rows)()
    assert isinstance(by_torch, torch.Tensor)
    # Some sums of a few float32 products, right to some 1e-6 of the largest.
    for y in (by_onnx, by_torch.numpy()):
        np.testing.assert_allclose(y, want, atol=1e-5 * np.abs(want).max())


@pytest.mark.parametrize("stack", [(4,), (2, 3), (1,)])
@pytest.mark.parametrize("part", [None, SMALL, OPERATOR, PADDED], ids=["dense", "low rank", "operator", "padded"])
def test_a_stack_is_timed_as_a_stack(part: TensorNetwork | None, stack: tuple[int, ...]) -> None:
    """Each matrix has rows of its own, and both runtimes compute what numpy does, one matrix after another."""
    parts = () if part is None else (part,)
    shape, rows = (*stack, *shape_of(parts)), 3 * prod(stack)
    chain = [
        (replace(part, stack=stack), order) for part, order in in_order(parts, 3) if isinstance(part, TensorNetwork)
    ]
    made = model_of(chain, shape, FLOAT, 18)
    held = [v.const_value.numpy().astype(np.float64) for v in made.graph.initializers.values() if v.const_value]
    drawn = np.random.default_rng(0).standard_normal((*stack, 3, shape[-2]))
    x = drawn.astype(np.float32).astype(np.float64).reshape(-1, 3, shape[-2])
    cores = [core.reshape(-1, *core.shape[len(stack) :]) for core in held]
    if part is None:
        want = x @ cores[0]
    else:
        want = np.stack([through(own, part, each) for own, *each in zip(x, *cores, strict=True)])
    by_torch = in_torch(made.clone())(rows)()
    (by_onnx,) = in_onnxruntime(made)(rows)()
    assert isinstance(by_torch, torch.Tensor)
    for y in (by_onnx, by_torch.numpy()):
        np.testing.assert_allclose(y, want.reshape(*stack, 3, shape[-1]), atol=1e-5 * np.abs(want).max())


@pytest.mark.parametrize("dtype", ["FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16"])
@pytest.mark.parametrize("name", ["dense", "operator", "circuits"])
def test_every_type_of_weight_is_measured_where_there_are_kernels(name: str, dtype: str) -> None:
    kind, parts = ir.DataType[dtype], CHAINS[name]
    for runtime, opened in ((ONNXRUNTIME, in_onnxruntime), (TORCH, in_torch)):
        used = measured_in(runtime, kind)
        # onnxruntime has no product of bfloat16 on a CPU.
        assert used == (FLOAT if (runtime, dtype) == (ONNXRUNTIME, "BFLOAT16") else kind)
        y = opened(model_of(in_order(parts), shape_of(parts), used, 18))(3)()
        found = y[0].dtype.name if isinstance(y, list) else str(y.dtype)
        plain = {"FLOAT": "float32", "DOUBLE": "float64"}.get(used.name, used.name.lower())
        assert found.removeprefix("torch.") == plain


def test_torch_computes_on_one_thread_while_it_is_timed() -> None:
    before = torch.get_num_threads()
    with on_one_thread(ONNXRUNTIME):
        assert torch.get_num_threads() == before
    with pytest.raises(ZeroDivisionError), on_one_thread(TORCH):
        assert torch.get_num_threads() == 1
        raise ZeroDivisionError
    assert torch.get_num_threads() == before


Told = list[tuple[str, int]]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Measurements that are made, by runtime and rows; ours takes twice what dense takes, in torch three times."""
    made: Told = []

    def opened(runtime: str) -> Callable[[ir.Model], Callable[[int], Callable[[], object]]]:
        return lambda model: lambda rows: lambda: (runtime, rows)

    def compared(dense: Callable[[], object], ours: Callable[[], object], budget: float) -> Comparison:
        assert dense() == ours()
        (entry,) = {ours()}
        made.append(entry)  # type: ignore[arg-type]
        return Comparison(1.0, 2.0 if made[-1][0] == ONNXRUNTIME else 3.0, 0.01)

    monkeypatch.setattr(latency, "_open", opened)
    monkeypatch.setattr(latency, "alternate", compared)
    return made


def test_a_product_is_measured_once(told: Told) -> None:
    made = told
    meter = LatencyMeter(18)
    first = meter.measure(in_order([OPERATOR]), FLOAT, 8)
    equal = Mpo(sites=((4, 4), (4, 6)), bonds=(5,)).network((16, 24))
    assert equal is not OPERATOR
    assert meter.measure(in_order([equal]), FLOAT, 8) is first
    wider = Mpo(sites=((4, 4), (4, 6)), bonds=(6,)).network((16, 24))
    # The same cores for less of a weight: dense is another product, and x is padded.
    narrow = Mpo(sites=((4, 4), (4, 6)), bonds=(5,)).network((15, 24))
    chains = [in_order([OPERATOR]), [(OPERATOR, ((1, 2), (0, 3)))], *(in_order(p) for p in ([wider], [narrow]))]
    asked = [(chain, kind, 8) for chain in (*chains, in_order([SMALL, BACK])) for kind in (FLOAT, ir.DataType.DOUBLE)]
    for chain, kind, rows in asked * 2:
        meter.measure(chain, kind, rows)
    assert len(made) == len(asked)
    LatencyMeter(18).measure(in_order([OPERATOR]), FLOAT, 8)
    assert len(made) == len(asked) + 1


def test_the_slower_runtime_decides(told: Told) -> None:
    chain = in_order([OPERATOR])
    for runtimes, ratio, slower in (((ONNXRUNTIME,), 2.0, ONNXRUNTIME), ((TORCH,), 3.0, TORCH), (RUNTIMES, 3.0, TORCH)):
        found = LatencyMeter(18, runtimes).measure(chain, FLOAT, 8)
        assert (found.ratio, found.runtime, found.rows, found.threads) == (ratio, slower, 8, 1)
        assert (found.expected is None) == (slower == TORCH)


def test_all_rows_and_runtimes_are_told(told: Told) -> None:
    made = told
    meter, chain = LatencyMeter(18), in_order([OPERATOR])
    decided = meter.measure(chain, FLOAT, 48)
    found = meter.times(chain, FLOAT, 48)
    assert [(t.runtime, t.rows) for t in found] == [(r, n) for r in RUNTIMES for n in (1, 8, 48, 128, 1024)]
    assert decided in found
    assert len(made) == len(found)
    assert [t.rows for t in meter.times(chain, FLOAT, 8)] == [*ROWS, *ROWS]


def test_a_layer_is_measured_within_bounds(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = in_order([OPERATOR])
    # Beyond that many rows time grows with them, and memory too.
    most = LatencyMeter(18).measure(chain, FLOAT, 10**9)
    assert most is not None
    assert most.rows == MOST_ROWS
    # With x first a row becomes 4 . 6 . 5 numbers, or 4 . 4 . 5, on its way to 24; rebuilding keeps it at 24.
    monkeypatch.setattr(latency, "MOST_NUMBERS", 100 * 120)
    first, rebuilt = [(OPERATOR, ((0, 2), (1, 3)))], [(OPERATOR, ((1, 2), (0, 3)))]
    assert {t.rows for t in LatencyMeter(18).times(first, FLOAT, 300)} == {1, 8, 100}
    assert {t.rows for t in LatencyMeter(18).times(rebuilt, FLOAT, 300)} == {1, 8, 128, 300, 500}
    made = len(told)
    monkeypatch.setattr(latency, "LARGEST", 4 * 16 * 24 - 1)
    assert LatencyMeter(18).measure(chain, FLOAT, 8) is None
    assert LatencyMeter(18).times(chain, FLOAT, 8) == ()
    assert LatencyMeter(18).measure(chain, ir.DataType.FLOAT16, 8) is not None
    assert len(told) == made + 1


def test_when_time_is_up_only_what_decides_is_measured(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "TOTAL_SECONDS", 0.0)
    meter, chain = LatencyMeter(18, RUNTIMES), in_order([OPERATOR])
    assert meter.times(chain, FLOAT, 8) == ()
    decided = meter.measure(chain, FLOAT, 8)
    assert [(t.runtime, t.rows) for t in meter.times(chain, FLOAT, 8)] == [(r, 8) for r in RUNTIMES]
    assert decided in meter.times(chain, FLOAT, 8)


def test_the_clock_of_this_machine() -> None:
    found = LatencyMeter(18).times(in_order(CHAINS["circuits"]), FLOAT, 2)
    assert len(found) == len(RUNTIMES) * (len(ROWS) + 1)
    assert all(isfinite(t.dense_ms) and t.dense_ms > 0.0 and t.ours_ms > 0.0 for t in found)
    assert {(t.threads, t.dtype) for t in found} == {(1, "float32")}


def test_what_is_slower_or_faster_is_so_beyond_noise() -> None:
    def time(ratio: float, noise: float | None = 0.0) -> Latency:
        return Latency(8, 2.0, 2.0 * ratio, noise=noise)

    assert [(time(r).slower, time(r).faster) for r in (0.8, 1.0 - MARGIN / 2, 1.0, 1.0 + MARGIN / 2, 1.2)] == [
        (False, True),
        (False, False),
        (False, False),
        (False, False),
        (True, False),
    ]
    assert not time(1.4, noise=0.5).slower
    assert not time(0.6, noise=0.5).faster
    assert time(1.6, noise=0.5).slower
    # A clock that told nothing refuses nothing, and shows nothing to be faster.
    assert not time(9.0, noise=None).slower
    assert not time(0.1, noise=None).faster
    nothing = Latency(8, 0.0, 0.0)
    assert (nothing.ratio, nothing.slower, nothing.faster) == (1.0, False, False)


def test_x_first_is_an_order_like_any_other() -> None:
    meter = LatencyMeter(18)
    found = meter.measure([(OPERATOR, x_first(OPERATOR))], FLOAT, 2)
    assert found.expected is not None
    assert found.expected > 0.0
