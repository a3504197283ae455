"""Held-out output error of every fit at equal parameters, on the example model's own weights.

For one attention and one MLP weight of a middle block: plain and data-weighted low rank and MPO, beside rounding to
int8 and int4. The covariance comes from the calibration rows, the error is measured on rows that were never seen.
"""

from pathlib import Path

from qtnc.calibrate.covariance import covariances
from qtnc.calibrate.data import load_npz
from qtnc.compiler import prepare
from qtnc.importers.onnx import read_model
from qtnc.ir.layers import find_layers
from qtnc.planner.baselines import GROUP, rounded
from qtnc.report.text import table
from qtnc.structures.lowrank import LowRank
from qtnc.structures.mpo import Mpo
from qtnc.structures.structure import Problem, Structure
from qtnc.tensor.metric import relative_error
from qtnc.tensor.threads import one_thread

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "tinylm"
LAYERS = ("layers.2.attn.q_proj", "layers.2.attn.o_proj", "layers.2.mlp.up_proj", "layers.2.mlp.down_proj")
SHARES = (0.1, 0.3, 0.5)


def methods(share: float) -> dict[str, tuple[Structure, bool]]:
    """Structures at a share of the parameters, and whether the data weighs the fit."""
    return {
        "SVD": (LowRank(bytes=share), False),
        "whitened SVD": (LowRank(bytes=share), True),
        "MPO 2 sites": (Mpo(sites=2, bytes=share), False),
        "MPO 2 sites, data": (Mpo(sites=2, bytes=share), True),
        "MPO 3 sites, data": (Mpo(sites=3, bytes=share), True),
        "MPO auto, data": (Mpo(sites="auto", bytes=share), True),
    }


def main() -> None:
    """Print one line a layer and share."""
    model = prepare(read_model(EXAMPLE / "tinylm.onnx"))
    layers = [layer for layer in find_layers(model) if layer.name in LAYERS]
    seen, unseen = (
        covariances(model, layers, load_npz(name, EXAMPLE / f"{name}.npz", None, model))
        for name in ("calib", "heldout")
    )
    rows = []
    for layer in layers:
        weight = layer.matrix()
        for share in SHARES:
            cells = []
            for structure, weighted in methods(share).values():
                problem = Problem(weight, seen[layer.name] if weighted else None)
                with one_thread():
                    settled = structure.propose(problem).structure
                    fitted = settled.dense(settled.fit(problem), problem.shape)
                cells.append(relative_error(weight, fitted, unseen[layer.name]))
            rounding = (rounded(weight, 8, len(weight)), rounded(weight, 4, GROUP))
            cells += [relative_error(weight, r, unseen[layer.name]) for r in rounding]
            rows.append([layer.name, f"{share:.0%}", *(f"{cell:.4f}" for cell in cells)])
    print(table(["layer", "share", *methods(0.1), "int8 (25%)", "int4 (14%)"], rows))


if __name__ == "__main__":
    main()
