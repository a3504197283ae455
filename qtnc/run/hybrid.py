"""Measure and re-encode: a layer run as two sampled circuits with its inner network between them, classically.

``b = C_in x/|x|`` is read off the counts of a first circuit, ``z = |x| b . K`` computed, ``C_out z/|z|`` read off the
counts of a second, and |z| multiplied back. Whatever is reported is measured on these counts, the prediction beside it.
"""

from dataclasses import dataclass
from math import nan
from pathlib import Path
from time import perf_counter
from zlib import crc32

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qtnc.errors import Diagnostic, OutputError, UsageError, did_you_mean, printable
from qtnc.ir.circuit_layer import CircuitLayer
from qtnc.ir.layers import find_layers
from qtnc.quantum.circuit import Circuit, run
from qtnc.quantum.shots import law_of, relative_error
from qtnc.run.inputs import Rows, read_rows
from qtnc.run.layers import read_layers
from qtnc.run.memory import check_memory
from qtnc.run.sampling import Cost, ReadOut, read_out, require_quantum
from qtnc.tensor.contract import contract
from qtnc.tensor.order import choose_path, path_flops

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Stage:
    """One circuit of a layer as it ran, ancilla among the ``qubits``; ``fidelity`` is the lowest of any row."""

    qubits: int
    encoding: Cost
    circuit: Cost
    fidelity: float


@dataclass(frozen=True)
class Original:
    """Relative errors against ``x . W`` of the model before the compile.

    Attributes
    ----------
    exact : of the layer without sampling: what the rewrite lost.
    sampled : of the layer as sampled: what rewrite and shots lost together.
    """

    exact: float
    sampled: float


@dataclass(frozen=True, eq=False)
class LayerRun:
    """A layer that ran.

    Attributes
    ----------
    source : where the rows come from.
    y, exact : outputs (rows, N), sampled, and of the same layer without sampling.
    shots : of a row, both stages together.
    measured : relative error of y against exact, all rows together; NaN where exact is zero.
    predicted : the same by the law of :mod:`qtnc.quantum.shots`. Its noise is global; that of the run strikes two
        qubits at a time, and what that distorts adds to the error however many shots are taken.
    raw : measured on the same counts, had they not been divided by the known fidelity.
    inner_flops : of the inner network, classically, for one row by the cheapest path.
    original : errors against the original model, where there is one.
    """

    layer: str
    source: str
    features: tuple[int, int]
    shots: int
    noise: float
    seed: int
    y: Matrix
    exact: Matrix
    measured: float
    predicted: float
    raw: float
    stages: tuple[Stage, Stage]
    inner_flops: int
    original: Original | None
    seconds: float

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.y)

    @property
    def cx_executed(self) -> int:
        """CX gates that run for one row, encodings included, over all of its shots."""
        return self.shots // 2 * sum(stage.encoding.cx + stage.circuit.cx for stage in self.stages)


def run_folder(
    out: Path,
    input: Path,  # noqa: A002 - the name of the option
    model: ir.Model | None,
    *,
    shots: int,
    layer: str | None = None,
    rows: int = 8,
    seed: int = 0,
    noise: float = 0.0,
) -> tuple[LayerRun, ...]:
    """Run the circuit layers of a compiled folder by sampling.

    Parameters
    ----------
    input : an ``.npz`` file; :func:`qtnc.run.inputs.read_rows` says what it may hold.
    model : the original in canonical form, if at hand: to compute rows from graph inputs, and as the baseline.
    shots : for each row, half of them for each stage.
    layer : canonical name of the only layer to run; None runs all.
    rows : how many rows to run, the first of what there is.
    noise : probability with which a CX depolarises its two qubits.

    Raises
    ------
    QtncError
        If qiskit is missing, a number is out of range, the folder or the input is wrong, or memory does not suffice.
    """
    require_quantum()
    _check(shots, rows, seed, noise)
    layers = _chosen(out, read_layers(out), layer)
    inputs = read_rows(input, layers, model, rows)
    for chosen in layers:
        check_memory(chosen, len(inputs[chosen.name].x), shots // 2, noise)
    weights = {found.name: found for found in find_layers(model)} if model is not None else {}
    runs = []
    for chosen in layers:
        weight = weights[chosen.name].matrix() if chosen.name in weights else None
        runs.append(run_layer(chosen, inputs[chosen.name], weight, shots=shots, seed=seed, noise=noise))
    return tuple(runs)


def run_layer(
    layer: CircuitLayer, rows: Rows, weight: Matrix | None = None, *, shots: int, seed: int = 0, noise: float = 0.0
) -> LayerRun:
    """Run rows through one layer; ``weight`` (M, N) is the original's, where there is one."""
    start = perf_counter()
    seeds = np.random.SeedSequence((seed, crc32(layer.name.encode()))).generate_state(2).tolist()
    inner = contract(
        layer.inner, choose_path(layer.inner, layer.input.amplitudes), layer.cores, np.eye(layer.input.amplitudes)
    )
    a = run(layer.input, layer.input_angles, rows.x)
    exact, outer = (run(layer.output, layer.output_angles, z) for z in (a @ inner, inner))

    first = read_out(layer.input, layer.input_angles, rows.x, shots=shots // 2, seed=seeds[0], noise=noise)
    z = first.vectors @ inner
    second = read_out(layer.output, layer.output_angles, z, shots=shots // 2, seed=seeds[1], noise=noise)
    y = second.vectors[:, : layer.features[1]]

    left = first.fidelity, second.fidelity
    law = law_of(a / (np.abs(rows.x).max() or 1.0), inner, outer, left)
    product = rows.x @ weight if weight is not None and weight.shape == layer.features else None
    return LayerRun(
        layer=layer.name,
        source=rows.source,
        features=layer.features,
        shots=shots,
        noise=noise,
        seed=seed,
        y=y,
        exact=exact,
        measured=_distance(y, exact),
        predicted=relative_error(shots, law),
        raw=_distance(y * (left[0] * left[1])[:, None], exact),  # stage 2 is linear in what stage 1 gave
        stages=(_stage(layer.input, first), _stage(layer.output, second)),
        inner_flops=path_flops(layer.inner, choose_path(layer.inner, 1), 1),
        original=Original(_distance(exact, product), _distance(y, product)) if product is not None else None,
        seconds=perf_counter() - start,
    )


def _stage(circuit: Circuit, found: ReadOut) -> Stage:
    return Stage(circuit.qubits + 1, found.encoding, found.circuit, float(found.fidelity.min()))


def _distance(y: Matrix, truth: Matrix) -> float:
    """Relative distance of all rows together; NaN where the truth is zero."""
    peak = float(np.abs(truth).max())
    return float(np.linalg.norm((y - truth) / peak) / np.linalg.norm(truth / peak)) if peak else nan


def _chosen(out: Path, layers: tuple[CircuitLayer, ...], name: str | None) -> tuple[CircuitLayer, ...]:
    if name is None:
        return layers
    found = tuple(layer for layer in layers if layer.name == name)
    if not found:
        names = [layer.name for layer in layers]
        near = did_you_mean(name, names) or f"circuits: {', '.join(map(printable, names))}"
        raise OutputError(Diagnostic(f"no circuit layer is called `{printable(name)}`", place=str(out), help=near))
    return found


def _check(shots: int, rows: int, seed: int, noise: float) -> None:
    if shots < 2 or shots % 2:
        raise UsageError(Diagnostic(f"{shots} shots: two stages take half each", help="ask for an even number above 0"))
    if rows < 1:
        raise UsageError(f"{rows} rows: there must be at least 1")
    if seed < 0:
        raise UsageError(f"seed {seed}: seeds are whole numbers from 0 up")
    if not 0.0 <= noise < 1.0:
        raise UsageError(f"noise {noise}: a probability from 0 to below 1, with which a CX depolarises its qubits")
