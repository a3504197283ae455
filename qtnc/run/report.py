"""A sampled run for people and for programs: errors measured beside predicted, and all that was executed."""

from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite, prod
from typing import Any

from qtnc.errors import printable
from qtnc.report.text import table
from qtnc.run.hybrid import LayerRun

FORMAT = 1

LEGEND = """\
measured, predicted: relative error of y by sampling, all rows together, against the same layer computed exactly; the
prediction takes noise as global. raw: measured without dividing by the known fidelity. rewrite, total: error against
the original weight, of the exact layer and of the sampled one. CX a row: all that runs, encodings and both stages, over
all shots. K, dense: flops a row of the inner network and of the original weight. Counts are of circuits transpiled to
cx and u where all qubits are connected, and depth has one-qubit gates in it. Not modelled: routing, read-out errors,
relaxation."""


def run_table(runs: Sequence[LayerRun]) -> str:
    """Errors and costs a layer, then the two circuits of each."""
    errors = ["measured", "predicted", "raw", "rewrite", "total"]
    header = ["layer", "rows", "shots", *errors, "CX a row", "K", "dense", "time"]
    stages = ["layer", "stage", "qubits", "encoding CX", "depth", "circuit CX", "depth", "fidelity"]
    return "\n".join(
        [
            table(header, [_errors(run) for run in runs]),
            "",
            table(stages, [_stage(run, number) for run in runs for number in (0, 1)]),
            "",
            *(f"{printable(run.layer)}: rows from {run.source}" for run in runs),
            LEGEND,
        ]
    )


def run_json(runs: Sequence[LayerRun]) -> dict[str, Any]:
    """Plain data; JSON has no NaN, so an error that is not defined is null."""
    return {"format": FORMAT, "layers": [_layer(run) for run in runs]}


def _errors(run: LayerRun) -> list[str]:
    original = run.original
    return [
        printable(run.layer),
        str(run.rows),
        f"{run.shots:,}",
        f"{run.measured:.4f}",
        f"{run.predicted:.4f}",
        f"{run.raw:.4f}" if run.noise else "-",
        f"{original.exact:.4f}" if original else "-",
        f"{original.sampled:.4f}" if original else "-",
        f"{run.cx_executed:,}",
        f"{run.inner_flops:,}",
        f"{2 * prod(run.features):,}",
        f"{run.seconds:.1f} s",
    ]


def _stage(run: LayerRun, number: int) -> list[str]:
    stage = run.stages[number]
    counts = (stage.qubits, stage.encoding.cx, stage.encoding.depth, stage.circuit.cx, stage.circuit.depth)
    name = ("C_in", "C_out")[number]
    return [printable(run.layer), name, *(f"{count:,}" for count in counts), f"{stage.fidelity:.4f}"]


def _layer(run: LayerRun) -> dict[str, Any]:
    return {
        "layer": run.layer,
        "source": run.source,
        "rows": run.rows,
        "features": list(run.features),
        "shots": run.shots,
        "noise": run.noise,
        "seed": run.seed,
        "error": {"measured": _number(run.measured), "predicted": _number(run.predicted), "raw": _number(run.raw)},
        "original": {name: _number(error) for name, error in asdict(run.original).items()} if run.original else None,
        "stages": [asdict(stage) for stage in run.stages],
        "cx_a_row": run.cx_executed,
        "flops_a_row": {"inner": run.inner_flops, "dense": 2 * prod(run.features)},
        "seconds": run.seconds,
    }


def _number(value: float) -> float | None:
    return value if isfinite(value) else None
