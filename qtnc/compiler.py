"""The road of a model, on one page: spec -> plan -> passes -> IR -> backends -> out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import onnx_ir as ir

from qtnc.backends.onnx import emit_onnx
from qtnc.backends.onnx_options import OnnxOptions
from qtnc.backends.options import BACKENDS, TorchOptions
from qtnc.backends.qiskit.emit import emit_qiskit, require_qiskit
from qtnc.backends.torch.emit import emit_torch
from qtnc.calibrate.data import DataSet, load_npz
from qtnc.errors import Diagnostic, SpecError
from qtnc.importers.onnx import read_model
from qtnc.importers.tensors import external_files
from qtnc.look.check import SpecCheck, check_spec, not_run
from qtnc.look.examples import run_examples
from qtnc.look.facts import LayerFacts, layer_facts
from qtnc.look.look import Look
from qtnc.look.watch import Lap, Watch
from qtnc.look.why import Why
from qtnc.look.why import why as ask_why
from qtnc.output.beside import files_beside
from qtnc.output.hashes import hashes_of
from qtnc.output.manifest import checks_of, locate, read_manifest, write_manifest
from qtnc.output.opset import asked_opset
from qtnc.output.staging import check_apart, check_free, staged
from qtnc.passes import PASSES
from qtnc.pipeline import Pipeline, Ran
from qtnc.planner.devices import circuits_to_emit, qiskit_options
from qtnc.planner.done import plan_as_done
from qtnc.planner.foresight import foreseen
from qtnc.planner.plan import Plan
from qtnc.planner.planner import Planned, make_plan
from qtnc.planner.preparing import Prepared, prepare_model
from qtnc.planner.recorded import read_plan
from qtnc.planner.runtimes import folded
from qtnc.plugins.allowed import Allowed
from qtnc.report.write import write_reports
from qtnc.road.narrowing import narrowed, narrowing
from qtnc.road.road import Road, read_road
from qtnc.road.steps import Known, Step, own_pass
from qtnc.run.hybrid import LayerRun, run_folder
from qtnc.source import Source
from qtnc.spec.program import Spec
from qtnc.spec.read import read_source, read_spec
from qtnc.verify.check import check_folder, feeds_of, read_original
from qtnc.verify.halved import halved_original
from qtnc.verify.speed import measure_speed
from qtnc.verify.verdict import Verdict
from qtnc.work.work import Work

ANYTHING: Final = Allowed(own=frozenset(PASSES))
"""A spec may use what is installed, and run what lies in its folder."""


@dataclass(frozen=True)
class Compiled:
    """What a compile leaves behind: the folder, the plan it obeyed, the passes that ran, the verdicts, the timings."""

    out: Path
    plan: Plan
    ran: tuple[Ran, ...]
    verdicts: tuple[Verdict, ...]
    laps: tuple[Lap, ...]

    @property
    def holds(self) -> bool:
        """Whether every ``verify`` of the spec holds."""
        return all(verdict.holds for verdict in self.verdicts)


def read(
    model_path: Path,
    spec_text: Path | Source,
    stage: str | None = None,
    settings: Sequence[str] = (),
    *,
    allowed: Allowed = ANYTHING,
) -> tuple[ir.Model, Spec, Mapping[str, DataSet]]:
    """Read everything that a compile is made from.

    ``stage`` is None for the last one in the spec; ``allowed`` says what code of others it may use.
    """
    spec = _spec(spec_text, stage, settings, allowed)
    model, data = _model_and_data(model_path, spec)
    return model, spec, data


def prepare(model: ir.Model, spec: Spec | None = None) -> ir.Model:
    """Bring a model into canonical form, in which layers are looked for, by the passes and rules of a spec too."""
    return prepare_model(model, road_of(spec), _given(spec, Look())).model


def inspect(model_path: Path, *, spectra: bool = False) -> tuple[LayerFacts, ...]:
    """The layers of a model under their canonical names; ``spectra`` adds what tells which of them will compress."""
    return layer_facts(prepare(read_model(model_path)), spectra=spectra)


def plan(
    model_path: Path,
    spec_text: Path | Source,
    stage: str | None = None,
    settings: Sequence[str] = (),
    work: Work = Work(),
    *,
    allowed: Allowed = ANYTHING,
    look: Look = Look(),
) -> Planned:
    """Decide what a compile will do, and write nothing; see :func:`qtnc.spec.settings.override`."""
    model, spec, data = read(model_path, spec_text, stage, settings, allowed=allowed)
    named = hashes_of(model_path, spec).by_name(model_path.name)
    prepared = prepare_model(model, road_of(spec), _given(spec, look))
    planned = _plan(prepared, spec, data, model_path.name, inputs=named, work=work)
    look.tell(planned.plan)
    return planned


def check(
    spec_text: Path | Source, model_path: Path | None, stage: str | None = None, *, allowed: Allowed = ANYTHING
) -> SpecCheck:
    """A spec, read whole, its examples carried out, and what it selects of a model where one is given."""
    if model_path is None:
        spec = _spec(spec_text, stage, (), allowed)
        return SpecCheck(spec, run_examples(spec.rules))
    model, spec, _ = read(model_path, spec_text, stage, allowed=allowed)
    shown = run_examples(spec.rules)
    try:
        prepared = prepare_model(model, road_of(spec), _given(spec, Look()))
        checked = check_spec(prepared.model, spec)
        return SpecCheck(spec, shown, checked, prepared.rules, foreseen(prepared.model, spec))
    except SpecError as error:
        raise SpecError(*error.diagnostics, *not_run(spec)) from None


def why(
    model_path: Path,
    spec_text: Path | Source,
    layer: str,
    stage: str | None = None,
    settings: Sequence[str] = (),
    *,
    allowed: Allowed = ANYTHING,
) -> Why:
    """What every statement of a spec is to one layer; see :func:`qtnc.look.why.why`."""
    model, spec, _ = read(model_path, spec_text, stage, settings, allowed=allowed)
    return ask_why(prepare(model, spec), spec, layer)


def compile_model(
    model_path: Path,
    spec_text: Path | Source,
    out: Path,
    *,
    stage: str | None = None,
    force: bool = False,
    settings: Sequence[str] = (),
    pipeline: str | None = None,
    without: Sequence[str] = (),
    look: Look | None = None,
    work: Work = Work(),
    recorded: Path | None = None,
    allowed: Allowed = ANYTHING,
) -> Compiled:
    """Compile a model by a stage of a spec, the last one where none is named, into the folder ``out``.

    Parameters
    ----------
    settings : ``key=value`` in place of what the spec says; see :func:`qtnc.spec.settings.override`.
    pipeline, without : passes to run instead, and passes to leave out; see :func:`qtnc.road.road.read_road`.
    work : how many processes fit, where what they find is kept, who is told of progress.
    recorded : a plan to obey, as ``qtnc plan --json`` prints it or a compile leaves it in ``plan.json``.
    allowed : what code of others the spec may use.

    Raises
    ------
    QtncError
        If anything in the model, the spec or the data is wrong, or ``out`` cannot be written. A verdict that does not
        hold is no exception: the folder is written, and ``Compiled.holds`` is False.
    """
    look, watch = look or Look(), Watch(work.say)
    check_free(out, force=force)
    with watch.stage("read"):
        spec = _spec(spec_text, stage, settings, allowed)
        if not spec.emits:
            raise SpecError(Diagnostic("the spec is a collection of rules, and emits nothing", place=spec.source.name))
        road = road_of(spec, pipeline, without, allowed)
        look.check(road)
        model, data = _model_and_data(model_path, spec)
        obeyed = read_plan(recorded) if recorded else None
        sources = _sources(model_path, spec, spec_text, recorded)
        check_apart(out, sources)
        beside = files_beside(model_path)
        hashes = hashes_of(model_path, spec)
        checks = checks_of(spec, out, hashes)
        inputs = feeds_of(checks, out, model, spec.binds)
        if any(emit.backend == "qiskit" for emit in spec.emits):
            require_qiskit()
        look.attach(watch, out, model_path, sources, inputs, force=force)
    given = {"binds": dict(spec.binds), "folded": folded(spec), "work": work, **_given(spec, look)}
    prepared = prepare_model(model, road, given, (watch.after,))
    with watch.stage("plan"):
        named = hashes.by_name(model_path.name)
        planned = _plan(prepared, spec, data, model_path.name, inputs=named, work=work, obeyed=obeyed)
        given["decisions"] = planned.decisions
        look.tell(planned.plan)

    with staged(out, force=force) as folder:
        rewritten = Pipeline(road.rewrite(given), (watch.after,)).run(prepared.model)
        emitted = [emit.backend for emit in spec.emits]
        if "torch" in emitted:
            with watch.stage("emit torch"):
                emit_torch(narrowed(rewritten.model, spec.told(TorchOptions).dtype), _fresh(folder / "torch"))
        if "qiskit" in emitted:
            with watch.stage("emit qiskit"):
                circuits = circuits_to_emit(spec, planned.selected, rewritten.model)
                emit_qiskit(circuits, qiskit_options(spec), _fresh(folder / "qiskit"))
        steps = (*narrowing(spec.told(OnnxOptions).dtype), *road.lower(given))
        lowered = Pipeline(steps, (watch.after,)).run(rewritten.model)
        if "onnx" in emitted:
            with watch.stage("emit onnx"):
                emit_onnx(lowered.model, _fresh(folder / "onnx"), spec.told(OnnxOptions))

        beside.copy(folder, emitted)
        with watch.stage("verify"):
            again = read_model(model_path)
            verdicts = check_folder(folder, emitted, again, model_path, inputs)
            halved = halved_original(model_path, inputs)
        with watch.stage("time the whole"):
            speeds = measure_speed(folder, emitted, again, model_path, inputs)
        with watch.stage("reports"):
            ran = (*prepared.ran, *rewritten.ran, *lowered.ran)
            done = plan_as_done(planned, ran, rewritten.model, beside.left)
            write_reports(folder, done, ran, verdicts, emitted, model_path, speeds, halved)
            write_manifest(folder, model_path, spec, checks, hashes, emitted, out, road.text)
    return Compiled(out, done, ran, verdicts, tuple(watch.laps))


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
    original = read_original(out, manifest, model_path)[1] if found else None
    # Layers are those that used passes left, and these are not run again: the rows of x must be given.
    model = prepare(original) if original and not manifest.uses else None
    return run_folder(out, input, model, shots=shots, layer=layer, rows=rows, seed=seed, noise=noise)


def road_of(
    spec: Spec | None, pipeline: str | None = None, without: Sequence[str] = (), allowed: Allowed = ANYTHING
) -> Road:
    """The passes of a compile, with those that the spec uses."""
    if spec is None:
        return read_road(pipeline, without, Known(packages=allowed.passes))
    used = [Step(*given) for use in spec.uses for given in use.passes]
    if any(not rule.on_networks for rule in spec.rules):
        used.insert(0, Step(own_pass("apply-rules")))
    late = [Step(own_pass("apply-network-rules"))] if any(rule.on_networks for rule in spec.rules) else []
    return read_road(pipeline, without, Known(used, allowed.passes, late))


def _given(spec: Spec | None, look: Look) -> dict[str, Any]:
    """What passes before the plan take."""
    return {"rules": spec.rules if spec else (), **look.given}


def _plan(prepared: Prepared, spec: Spec, data: Mapping[str, DataSet], name: str, **more: Any) -> Planned:
    return make_plan(prepared.model, spec, data, name, original=prepared.original, applied=prepared.rules, **more)


def _spec(text: Path | Source, stage: str | None, settings: Sequence[str], allowed: Allowed) -> Spec:
    """A spec from a file, or from a text whose paths start at the working directory."""
    if isinstance(text, Source):
        return read_source(text, allowed.structures, BACKENDS, Path(), settings, allowed).at(stage)
    return read_spec(text, allowed.structures, BACKENDS, settings, allowed).at(stage)


def _model_and_data(model_path: Path, spec: Spec) -> tuple[ir.Model, Mapping[str, DataSet]]:
    model = read_model(model_path, asked_opset(spec))
    return model, {name: load_npz(name, d.path, d.take, model, d.span) for name, d in spec.data.items()}


def _sources(model_path: Path, spec: Spec, *given: Path | Source | None) -> tuple[Path, ...]:
    """All files that a compile is made from."""
    data = (declared.path for declared in spec.data.values())
    included = (text.path for text in spec.includes if text.path)
    used = (use.path for use in spec.uses if use.path)
    named = (path for path in given if isinstance(path, Path))
    return (model_path, *external_files(model_path), *named, *data, *included, *used)


def _fresh(folder: Path) -> Path:
    folder.mkdir()
    return folder
