"""Fitting a matrix product operator of bond 64 to a 4096x4096 weight, beside tensorly's `tensor_train_matrix`.

Two weights: singular values that fall like those of trained ones, across the operator's own cut, and a Gaussian, which
is as hard as any. Both libraries run in turn in this process on one thread, each on an array of its own, and medians
are compared. Errors are measured on the matrix that the cores give back.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy reads it

from argparse import ArgumentParser
from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np
import tensorly
from numpy.typing import NDArray
from tensorly.decomposition import tensor_train_matrix

from qtnc.report.text import table
from qtnc.tensor.mpo import Cores, dense, tt_svd
from qtnc.tensor.sites import Sites, features, uniform_bonds

Matrix = NDArray[np.float64]

BOND = 64
SHAPES: dict[str, Sites] = {"2 of 64x64": ((64, 64),) * 2, "3 of 16x16": ((16, 16),) * 3}


def gaussian(sites: Sites) -> Matrix:
    """Nothing to find."""
    return np.random.default_rng(0).standard_normal(features(sites))


def decaying(sites: Sites) -> Matrix:
    """Singular values 1/k across the first cut; the vectors on either side are Gaussian and nearly orthogonal."""
    rng = np.random.default_rng(0)
    M, N = features(sites)
    first = sites[0][0] * sites[0][1]
    size = min(first, M * N // first)
    values = 1.0 / np.arange(1, size + 1)
    cut = (rng.standard_normal((first, size)) * values) @ rng.standard_normal((size, M * N // first))
    modes = [m * n for m, n in sites]
    split = cut.reshape(modes).reshape([mode for site in sites for mode in site])
    count = len(sites)
    return np.ascontiguousarray(split.transpose(*range(0, 2 * count, 2), *range(1, 2 * count, 2))).reshape(M, N)


def ours(weight: Matrix, sites: Sites) -> Cores:
    """Fit by qtnc."""
    return tt_svd(weight, sites, uniform_bonds(sites, BOND))[0]


def theirs(weight: Matrix, sites: Sites) -> Cores:
    """Fit by tensorly."""
    tensor = tensorly.tensor(weight.reshape([m for m, _ in sites] + [n for _, n in sites]))
    return tuple(np.asarray(core) for core in tensor_train_matrix(tensor, [1, *uniform_bonds(sites, BOND), 1]))


def compare(weight: Matrix, sites: Sites, rounds: int) -> tuple[list[float], list[float]]:
    """Median seconds and relative errors of both, measured in turn."""
    fits: tuple[Callable[[Matrix, Sites], Cores], ...] = ours, theirs
    times: tuple[list[float], ...] = [], []
    errors = [0.0, 0.0]
    for _ in range(rounds):
        for k, fit in enumerate(fits):
            start = perf_counter()
            cores = fit(weight, sites)
            times[k].append(perf_counter() - start)
            errors[k] = float(np.linalg.norm(weight - dense(cores, weight.shape)) / np.linalg.norm(weight))
    return [median(taken) for taken in times], errors


def main() -> None:
    """Print a line a weight and shape."""
    parser = ArgumentParser(description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="times each is run")
    rounds: int = parser.parse_args().rounds
    rows = []
    for name, make in (("decaying", decaying), ("Gaussian", gaussian)):
        for shape, sites in SHAPES.items():
            times, errors = compare(make(sites), sites, rounds)
            cells = [f"{times[0]:.2f} s", f"{times[1]:.2f} s", f"{times[1] / times[0]:.1f}x"]
            rows.append([name, shape, *cells, *(f"{e:.5f}" for e in errors), f"{errors[0] / errors[1] - 1:+.3%}"])
    print(f"4096x4096, bond {BOND}, one thread, {rounds} rounds in turn")
    print(table(["weight", "sites", "qtnc", "tensorly", "faster", "error", "tensorly's", "apart"], rows))


if __name__ == "__main__":
    main()
