"""Both stages of hybrid.qtn on the example language model: compiled, compared, and run by sampling.

The table shows what the layers that `hard` selects become, everything else being the classical stage: the circuits
beside the same operator without them, and beside SVDs of no more parameters, angles and padding counted. The last
lines fit the same forms to a Gaussian matrix, in which there is nothing to find.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir

HERE = Path(__file__).resolve().parent
TINYLM = HERE.parent / "tinylm"
sys.path.insert(0, str(TINYLM))

from evaluate import onnx_logits, perplexity
from qtnc.passes.lower_to_onnx import LowerToOnnx
from qtnc.passes.matmul_to_circuit import MatmulToCircuit
from qtnc.passes.matmul_to_lowrank import MatmulToLowrank
from qtnc.passes.matmul_to_mpo import MatmulToMpo

from qtnc.backends.onnx import emit_onnx
from qtnc.backends.options import BACKENDS
from qtnc.compiler import compile_model, plan, prepare, run_circuits
from qtnc.errors import QtncError
from qtnc.importers.onnx import read_model
from qtnc.ir.layers import find_layers
from qtnc.pipeline import Pipeline
from qtnc.report.text import table
from qtnc.rewrite.decision import Decision
from qtnc.run.report import run_table
from qtnc.spec.read import read_spec
from qtnc.structures.circuit import Circuits
from qtnc.structures.lowrank import LowRank
from qtnc.structures.registry import STRUCTURES
from qtnc.structures.structure import Problem, Structure, parameters_of
from qtnc.tensor.threads import one_thread

MODEL = TINYLM / "tinylm.onnx"
SPEC = HERE / "hybrid.qtn"


@dataclass(frozen=True)
class Form:
    """What the hard layers become: a name, what to fit from the settled circuits, and whether data weighs the fit."""

    name: str
    structure: Callable[[Circuits, int, int], Structure]
    weighted: bool = True


def _svd(circuits: Circuits, parameters: int, size: int) -> Structure:
    del circuits
    return LowRank(rank=max(1, parameters // size))


def _operator(circuits: Circuits, parameters: int, size: int) -> Structure:
    del parameters, size
    assert circuits.inner is not None  # circuits surround something
    return circuits.inner


FORMS = (
    Form("plain SVD", _svd, weighted=False),
    Form("whitened SVD", _svd),
    Form("operator without circuits", _operator),
    Form("circuits around the operator", lambda circuits, parameters, size: circuits),
)


def problems_of(decisions: Mapping[str, Decision]) -> dict[str, Problem]:
    """The weights that circuits stand for, with the covariances of their inputs."""
    layers = {layer.name: layer for layer in find_layers(prepare(read_model(MODEL)))}
    return {name: Problem(layers[name].matrix(), d.covariance) for name, d in decisions.items()}


def compiled(decisions: tuple[Decision, ...], folder: Path) -> Path:
    """Run the passes for decisions that may differ from the plan's, and write the ONNX model."""
    passes = (MatmulToLowrank(decisions), MatmulToMpo(decisions), MatmulToCircuit(decisions), LowerToOnnx())
    lowered: ir.Model = Pipeline(passes).run(prepare(read_model(MODEL))).model
    folder.mkdir(parents=True)
    emit_onnx(lowered, folder)
    return folder / "model.onnx"


def compare(folder: Path, heldout: np.ndarray) -> None:
    """Print what each form of the hard layers costs and keeps."""
    planned = plan(MODEL, SPEC, "hybrid")
    asked = read_spec(SPEC, STRUCTURES, BACKENDS).at("hybrid").rewrites[-1].structure
    hard = {d.layer: d for d in planned.decisions if isinstance(d.structure, Circuits)}
    problems = problems_of(hard)
    rows = []
    gaussian = []
    for number, form in enumerate(FORMS):
        chosen, errors, controls, counts = {}, [], [], []
        for name, decision in hard.items():
            problem, circuits = problems[name], decision.structure
            assert isinstance(circuits, Circuits)
            budget = parameters_of(circuits.parts(problem.shape))
            structure = form.structure(circuits, budget, sum(problem.shape))
            covariance = problem.covariance if form.weighted else None
            chosen[name] = Decision(name, structure, covariance)
            counts.append(parameters_of(structure.parts(problem.shape)))
            with one_thread():
                fitted = structure.fit(Problem(problem.weight, covariance))
                errors.append(problem.error(structure.dense(fitted, problem.shape)))
                controls.append(_control(structure, problem.shape, asked))
        decisions = tuple(chosen.get(d.layer, d) for d in planned.decisions)
        file = compiled(decisions, folder / f"form_{number}")
        spare = sum(parameters_of(d.structure.parts(problems[d.layer].shape)) for d in hard.values()) - sum(counts)
        total = planned.plan.parameters - spare
        found = f"{perplexity(onnx_logits(file), heldout):.2f}"
        rows.append([form.name, f"{sum(counts):,}", f"{total:,}", f"{np.mean(errors):.4f}", found])
        gaussian.append([f"  {form.name}, Gaussian", f"{sum(counts):,}", "-", f"{np.mean(controls):.4f}", "-"])
    header = [f"{len(hard)} layers become", "parameters", "of the model", "layer error", "perplexity"]
    print(table(header, rows + gaussian))
    print(f"layers: {', '.join(hard)}; errors of their outputs on the calibration rows, plain errors on the Gaussian")


def _control(structure: Structure, shape: tuple[int, int], asked: Circuits) -> float:
    """Plain error of the same form on a Gaussian matrix, where circuits of the same kind get angles of their own."""
    problem = Problem(np.random.default_rng(0).normal(size=shape))
    settled = asked.propose(problem).structure if isinstance(structure, Circuits) else structure
    return problem.error(settled.dense(settled.fit(problem), shape))


def main() -> int:
    """Compile both stages, print the comparison, run the circuits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("out-hybrid"), metavar="OUT", help="folder to write")
    parser.add_argument("--shots", type=int, default=100_000, help="shots of a row, both circuits together")
    options = parser.parse_args()
    out: Path = options.output
    with np.load(TINYLM / "heldout.npz") as arrays:
        heldout = arrays["input_ids"]
    try:
        for stage in ("classical", "hybrid"):
            done = compile_model(MODEL, SPEC, out / stage, stage=stage, force=True)
            found = perplexity(onnx_logits(done.out / "onnx" / "model.onnx"), heldout)
            print(f"stage {stage}: {done.plan.parameters:,} parameters, perplexity {found:.2f}, wrote {done.out}")
        found = perplexity(onnx_logits(MODEL), heldout)
        print(f"original: {done.plan.model_parameters:,} parameters, perplexity {found:.2f}\n")
        with tempfile.TemporaryDirectory() as folder:
            compare(Path(folder), heldout)
        print()
        print(run_table(run_circuits(out / "hybrid", TINYLM / "heldout.npz", shots=options.shots, rows=8)))
    except QtncError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
