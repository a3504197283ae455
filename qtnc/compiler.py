"""The road of a model, on one page: spec -> plan -> passes -> IR -> backends -> out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from qtnc.backends.onnx import emit_onnx
from qtnc.backends.options import BACKENDS
from qtnc.backends.qiskit.emit import emit_qiskit, require_qiskit
from qtnc.backends.torch.emit import emit_torch
from qtnc.calibrate.data import DataSet, load_npz
from qtnc.importers.onnx import read_model
from qtnc.importers.tensors import external_files
from qtnc.output.manifest import checks_of, locate, read_manifest, write_manifest
from qtnc.output.staging import check_apart, check_free, staged
from qtnc.passes.canonicalize import Canonicalize
from qtnc.passes.choose_contraction_order import ChooseContractionOrder
from qtnc.passes.fold_constants import FoldConstants
from qtnc.passes.lower_to_onnx import LowerToOnnx
from qtnc.passes.matmul_to_circuit import MatmulToCircuit
from qtnc.passes.matmul_to_lowrank import MatmulToLowrank
from qtnc.passes.matmul_to_mpo import MatmulToMpo
from qtnc.pipeline import Pipeline, Ran
from qtnc.planner.devices import circuits_to_emit, qiskit_options
from qtnc.planner.plan import Plan
from qtnc.planner.planner import Planned, make_plan
from qtnc.report.write import write_reports
from qtnc.run.hybrid import LayerRun, run_folder
from qtnc.spec.program import Spec
from qtnc.spec.read import read_spec
from qtnc.spec.settings import override
from qtnc.structures.registry import STRUCTURES
from qtnc.verify.check import check_folder, feeds_of, read_original
from qtnc.verify.verdict import Verdict


@dataclass(frozen=True)
class Compiled:
    """What a compile leaves behind: the folder, the plan it obeyed, the passes that ran, the verdicts."""

    out: Path
    plan: Plan
    ran: tuple[Ran, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def holds(self) -> bool:
        """Whether every ``verify`` of the spec holds."""
        return all(verdict.holds for verdict in self.verdicts)


def read(
    model_path: Path, spec_path: Path, stage: str | None = None, settings: Sequence[str] = ()
) -> tuple[ir.Model, Spec, Mapping[str, DataSet]]:
    """Read everything that a compile is made from; ``stage`` is None for the last one in the spec."""
    spec = override(read_spec(spec_path, STRUCTURES, BACKENDS).at(stage), settings)
    model = prepare(read_model(model_path))
    data = {name: load_npz(name, d.path, d.take, model, d.span) for name, d in spec.data.items()}
    return model, spec, data


def prepare(model: ir.Model) -> ir.Model:
    """Bring a model into canonical form, in which layers are looked for."""
    return Pipeline((Canonicalize(), FoldConstants())).run(model).model


def plan(model_path: Path, spec_path: Path, stage: str | None = None, settings: Sequence[str] = ()) -> Planned:
    """Decide what a compile will do, and write nothing; see :func:`qtnc.spec.settings.override`."""
    model, spec, data = read(model_path, spec_path, stage, settings)
    return make_plan(model, spec, data, model_path.name)


def compile_model(
    model_path: Path,
    spec_path: Path,
    out: Path,
    *,
    stage: str | None = None,
    force: bool = False,
    settings: Sequence[str] = (),
) -> Compiled:
    """Compile a model by a stage of a spec, the last one where none is named, into the folder ``out``.

    Raises
    ------
    QtncError
        If anything in the model, the spec or the data is wrong, or ``out`` cannot be written. A verdict that does not
        hold is no exception: the folder is written, and ``Compiled.holds`` is False.
    """
    check_free(out, force=force)
    model, spec, data = read(model_path, spec_path, stage, settings)
    check_apart(out, (model_path, spec_path, *external_files(model_path), *(d.path for d in spec.data.values())))
    checks = checks_of(spec, out)
    inputs = feeds_of(checks, out, model, spec.binds)
    if any(emit.backend == "qiskit" for emit in spec.emits):
        require_qiskit()
    planned = make_plan(model, spec, data, model_path.name)

    with staged(out, force=force) as folder:
        rewritten = Pipeline(
            (
                MatmulToLowrank(planned.decisions),
                MatmulToMpo(planned.decisions),
                MatmulToCircuit(planned.decisions),
                ChooseContractionOrder(dict(spec.binds)),
            )
        ).run(model)
        emitted = [emit.backend for emit in spec.emits]
        if "torch" in emitted:
            emit_torch(rewritten.model, _fresh(folder / "torch"))
        if "qiskit" in emitted:
            circuits = circuits_to_emit(spec, planned.selected, rewritten.model)
            emit_qiskit(circuits, qiskit_options(spec), _fresh(folder / "qiskit"))
        lowered = Pipeline((LowerToOnnx(),)).run(rewritten.model)
        if "onnx" in emitted:
            emit_onnx(lowered.model, _fresh(folder / "onnx"))

        verdicts = check_folder(folder, emitted, read_model(model_path), model_path, inputs)
        ran = (*rewritten.ran, *lowered.ran)
        write_reports(folder, planned.plan, ran, verdicts, emitted, model_path)
        write_manifest(folder, model_path, spec, checks, emitted, out)
    return Compiled(out, planned.plan, ran, verdicts)


def run_circuits(
    out: Path,
    input: Path,  # noqa: A002 - the name of the option
    model_path: Path | None = None,
    *,
    shots: int,
    layer: str | None = None,
    rows: int = 8,
    seed: int = 0,
    noise: float = 0.0,
) -> tuple[LayerRun, ...]:
    """Run the circuit layers of a compiled folder by sampling; see :func:`qtnc.run.hybrid.run_folder`.

    The original model is the baseline and computes rows from its inputs; where it is not found, rows must be given.
    """
    manifest = read_manifest(out)
    found = model_path is not None or locate(out, manifest.original).is_file()
    model = prepare(read_original(out, manifest, model_path)[1]) if found else None
    return run_folder(out, input, model, shots=shots, layer=layer, rows=rows, seed=seed, noise=noise)


def _fresh(folder: Path) -> Path:
    folder.mkdir()
    return folder
