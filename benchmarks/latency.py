"""The cost model beside measured latency in onnxruntime: every line is one product at one number of rows and threads.

First, how long each takes at least, ours and dense in alternation, beside what the model expects. Then, of the ways to
contract two and three sites, how much slower the chosen one is than the fastest: chosen by the model, and by flops.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf
from statistics import median
from time import perf_counter

import onnx_ir as ir
from scipy.stats import spearmanr

from qtnc.planner.alone import Call, Chain, in_onnxruntime, model_of
from qtnc.planner.latency import CALL_SECONDS
from qtnc.quantum.circuit import Circuit, qubits_for
from qtnc.quantum.layout import layers
from qtnc.report.text import table
from qtnc.structures.cost import Product, choose_order, dense_seconds, seconds_of
from qtnc.structures.lowrank import LowRank
from qtnc.structures.mpo import Mpo
from qtnc.tensor.network import TensorNetwork
from qtnc.tensor.order import choose_path, every_path
from qtnc.tensor.sites import balanced, clip_bonds, largest_bond, uniform_bonds

SHAPES = ((384, 384), (384, 1536), (1536, 384), (768, 768), (1024, 1024), (4096, 1024))
ROWS = (1, 8, 128, 1024)
THREADS = (1, 2)
SHARES = (0.1, 0.4)
TURNS, BUDGET, FEWEST = 4, 0.01, 3
"""How often each side is called: turns, and in each at least so many seconds and calls."""

CLEAR = 0.1
"""Relative distance from dense within which a measurement says neither faster nor slower."""


@dataclass(frozen=True)
class Line:
    """One product measured: seconds of dense and ours, and what the model expects of both."""

    cells: tuple[str, ...]
    threads: int
    dense: float
    ours: float
    dense_expected: float
    ours_expected: float

    @property
    def ratio(self) -> float:
        """Ours over dense, measured."""
        return self.ours / self.dense

    @property
    def expected(self) -> float:
        """Ours over dense, by the model."""
        return self.ours_expected / self.dense_expected

    @property
    def off(self) -> float:
        """Expected over measured seconds of ours."""
        return self.ours_expected / self.ours


def low_rank(shape: tuple[int, int], share: float) -> TensorNetwork:
    """Low rank at a share of the parameters."""
    return LowRank(rank=max(1, int(share * shape[0] * shape[1] / sum(shape)))).network(shape)


def operator(shape: tuple[int, int], share: float, sites: int) -> TensorNetwork:
    """An operator of even sites at a share of the parameters."""
    even = balanced(*shape, sites)
    bonds = uniform_bonds(even, max(1, largest_bond(even, int(share * shape[0] * shape[1]))))
    return Mpo(sites=even, bonds=clip_bonds(even, bonds)).network(shape)


def circuits(shape: tuple[int, int], share: float) -> tuple[Product, ...]:
    """Cross circuits of depth 4 around an operator of two sites."""
    p, q = map(qubits_for, shape)

    def side(qubits: int, features: tuple[int, int]) -> Circuit:
        drawn = layers("cross", [0] * (qubits // 2) + [1] * (qubits - qubits // 2), 4)
        return Circuit(qubits, tuple(pair for layer in drawn for pair in layer), features)

    inner = operator((1 << p, 1 << q), share, 2)
    return side(p, (shape[0], 1 << p)), inner, side(q, (1 << q, shape[1]))


def products(shape: tuple[int, int]) -> Iterator[tuple[str, tuple[Product, ...]]]:
    """What is measured for a shape, with its name."""
    for share in SHARES:
        yield f"lowrank {share:.0%}", (low_rank(shape, share),)
        yield f"mpo 2 sites {share:.0%}", (operator(shape, share, 2),)
        yield f"mpo 3 sites {share:.0%}", (operator(shape, share, 3),)
    yield f"circuit | mpo {SHARES[0]:.0%}", circuits(shape, SHARES[0])


def opened(chain: Chain, shape: tuple[int, int], threads: int = 1) -> Call:
    """A chain in onnxruntime."""
    return in_onnxruntime(model_of(chain, shape, ir.DataType.FLOAT, 18), threads)


def measured(threads: int) -> Iterator[Line]:
    """Every product at every number of rows, in the order that is chosen for them."""
    for shape in SHAPES:
        dense = opened((), shape, threads)
        for name, parts in products(shape):
            for rows in ROWS:
                chain = [(part, choose_order(part, rows, folded=True)) for part in parts]
                times = alternate(dense(rows), opened(chain, shape, threads)(rows))
                expected = dense_seconds(shape, rows, threads), seconds_of(chain, rows, threads, folded=True)
                cells = ("x".join(map(str, shape)), name, f"{rows:,}", str(threads))
                yield Line(cells, threads, *times, *(CALL_SECONDS + s for s in expected))


def alternate(first: Callable[[], object], second: Callable[[], object]) -> tuple[float, float]:
    """Least seconds of each, called in turn: what is left when nothing else runs, which is what the model is about.

    Each turn is several calls, for the threads of one session go on spinning while the first call of the other runs.
    """
    least = [inf, inf]
    for _ in range(TURNS):
        for side, call in enumerate((first, second)):
            end, calls = perf_counter() + BUDGET, 0
            while calls < FEWEST or perf_counter() < end:
                start = perf_counter()
                call()
                least[side] = min(least[side], perf_counter() - start)
                calls += 1
    return least[0], least[1]


def summary(lines: list[Line]) -> str:
    """How well the model foretells: order, seconds, and which side of dense."""
    ranks = spearmanr([x.ours_expected for x in lines], [x.ours for x in lines]).statistic
    ratios = spearmanr([x.expected for x in lines], [x.ratio for x in lines]).statistic
    off = sorted(x.off for x in lines)
    worst = max(off, key=lambda value: max(value, 1.0 / value))
    clear = [x for x in lines if abs(x.ratio - 1.0) > CLEAR]
    right = sum((x.expected < 1.0) == (x.ratio < 1.0) for x in clear)
    return (
        f"threads {lines[0].threads}: rank correlation of seconds {ranks:.3f}, of ratios to dense {ratios:.3f}; "
        f"expected / measured seconds: median {median(off):.2f}, middle half {off[len(off) // 4]:.2f} to "
        f"{off[3 * len(off) // 4]:.2f}, worst {worst:.2f}; "
        f"faster than dense or not: right in {right} of the {len(clear)} that differ by more than {CLEAR:.0%}"
    )


def regrets() -> Iterator[tuple[list[str], float, float]]:
    """Seconds of the order chosen by the model, and by flops, over those of the fastest order of all."""
    for shape in ((384, 384), (384, 1536), (1024, 1024)):
        for sites, share in ((2, 0.1), (2, 0.4), (3, 0.1)):
            network = operator(shape, share, sites)
            for rows in ROWS:
                by_model, by_flops = choose_order(network, rows, folded=True), choose_path(network, rows)
                paths = sorted(every_path(sites + 1), key=lambda path: expected(network, path, rows))[:6]
                timed = {path: seconds(network, path, shape, rows) for path in {*paths, by_flops}}
                least = min(timed.values())
                model, flops = timed[by_model] / least, timed[by_flops] / least
                name = f"mpo {sites} sites {share:.0%}"
                yield ["x".join(map(str, shape)), name, f"{rows:,}", f"{model:.2f}", f"{flops:.2f}"], model, flops


def expected(network: TensorNetwork, path: tuple[tuple[int, int], ...], rows: int) -> float:
    """Seconds by the model."""
    return seconds_of([(network, path)], rows, folded=True)


def seconds(network: TensorNetwork, path: tuple[tuple[int, int], ...], shape: tuple[int, int], rows: int) -> float:
    """Seconds by the clock."""
    call = opened([(network, path)], shape)(rows)
    return min(alternate(call, call))


def main() -> None:
    """Print all lines, then what they come to."""
    header = ["weight", "structure", "rows", "threads", "dense ms", "ours ms", "expected ms", "ratio", "expected"]
    lines = [line for threads in THREADS for line in measured(threads)]
    numbers = [
        (f"{1e3 * x.dense:.4f}", f"{1e3 * x.ours:.4f}", f"{1e3 * x.ours_expected:.4f}", f"{x.ratio:.2f}") for x in lines
    ]
    rows = [[*x.cells, *n, f"{x.expected:.2f}"] for x, n in zip(lines, numbers, strict=True)]
    print(table(header, rows))
    for threads in THREADS:
        print(summary([line for line in lines if line.threads == threads]))
    print()
    found = list(regrets())
    print(table(["weight", "structure", "rows", "by the model", "by flops"], [cells for cells, *_ in found]))
    for name, values in (("the model", [m for _, m, _ in found]), ("flops", [f for *_, f in found])):
        print(f"orders chosen by {name}, over the fastest: median {median(values):.2f}, worst {max(values):.2f}")


if __name__ == "__main__":
    main()
