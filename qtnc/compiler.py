"""The road of a model, on one page: spec -> plan -> passes -> IR -> backends -> out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from qtnc.backends.onnx import emit_onnx
from qtnc.backends.torch.emit import emit_torch
from qtnc.calibrate.data import DataSet, load_npz
from qtnc.importers.onnx import read_model
from qtnc.importers.tensors import external_files
from qtnc.output.manifest import checks_of, write_manifest
from qtnc.output.staging import check_apart, check_free, staged
from qtnc.passes.canonicalize import Canonicalize
from qtnc.passes.choose_contraction_order import ChooseContractionOrder
from qtnc.passes.fold_constants import FoldConstants
from qtnc.passes.lower_to_onnx import LowerToOnnx
from qtnc.passes.matmul_to_lowrank import MatmulToLowrank
from qtnc.passes.matmul_to_mpo import MatmulToMpo
from qtnc.pipeline import Pipeline, Ran
from qtnc.planner.plan import Plan
from qtnc.planner.planner import Planned, make_plan
from qtnc.report.write import write_reports
from qtnc.spec.program import Spec
from qtnc.spec.read import read_spec
from qtnc.structures.registry import STRUCTURES
from qtnc.verify.check import check_folder, feeds_of
from qtnc.verify.verdict import Verdict

BACKENDS = ("torch", "onnx")


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


def read(model_path: Path, spec_path: Path) -> tuple[ir.Model, Spec, Mapping[str, DataSet]]:
    """Read everything that a compile is made from."""
    spec = read_spec(spec_path, STRUCTURES, BACKENDS)
    model = prepare(read_model(model_path))
    data = {name: load_npz(name, d.path, d.take, model, d.span) for name, d in spec.data.items()}
    return model, spec, data


def prepare(model: ir.Model) -> ir.Model:
    """Bring a model into canonical form, in which layers are looked for."""
    return Pipeline((Canonicalize(), FoldConstants())).run(model).model


def plan(model_path: Path, spec_path: Path) -> Planned:
    """Decide what a compile will do, and write nothing."""
    model, spec, data = read(model_path, spec_path)
    return make_plan(model, spec, data, model_path.name)


def compile_model(model_path: Path, spec_path: Path, out: Path, *, force: bool = False) -> Compiled:
    """Compile a model by a spec into the folder ``out``.

    Raises
    ------
    QtncError
        If anything in the model, the spec or the data is wrong, or ``out`` cannot be written. A verdict that does not
        hold is no exception: the folder is written, and ``Compiled.holds`` is False.
    """
    check_free(out, force=force)
    model, spec, data = read(model_path, spec_path)
    check_apart(out, (model_path, spec_path, *external_files(model_path), *(d.path for d in spec.data.values())))
    checks = checks_of(spec, out)
    inputs = feeds_of(checks, out, model, spec.binds)
    planned = make_plan(model, spec, data, model_path.name)

    with staged(out, force=force) as folder:
        rewritten = Pipeline(
            (
                MatmulToLowrank(planned.decisions),
                MatmulToMpo(planned.decisions),
                ChooseContractionOrder(dict(spec.binds)),
            )
        ).run(model)
        emitted = [emit.backend for emit in spec.emits]
        if "torch" in emitted:
            emit_torch(rewritten.model, _fresh(folder / "torch"))
        lowered = Pipeline((LowerToOnnx(),)).run(rewritten.model)
        if "onnx" in emitted:
            emit_onnx(lowered.model, _fresh(folder / "onnx"))

        verdicts = check_folder(folder, emitted, read_model(model_path), model_path, inputs)
        ran = (*rewritten.ran, *lowered.ran)
        write_reports(folder, planned.plan, ran, verdicts, emitted, model_path)
        write_manifest(folder, model_path, spec, checks, emitted, out)
    return Compiled(out, planned.plan, ran, verdicts)


def _fresh(folder: Path) -> Path:
    folder.mkdir()
    return folder
