"""Looking inside a compile: the IR after each pass, each pass verified, other pipelines, timings."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from safetensors.numpy import load_file

from qtnc.cli import main
from qtnc.ir.dialect import is_qtn
from qtnc.ir.text.files import load_text
from qtnc.pipeline import PassResult
from qtnc.road.road import DEFAULT

Run = Callable[..., Any]

ORDER = "qtnc.passes.choose_contraction_order.ChooseContractionOrder.run"
MPO = "qtnc.passes.matmul_to_mpo.MatmulToMpo.run"
PASSES = DEFAULT.split(",")


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def compiled(qtnc: Run, place: Any, *options: Any) -> Any:
    return qtnc("compile", place.model, place.spec, "-o", place.out, *options)


def files(number: int, name: str) -> list[str]:
    return [f"{number:02}-{name}.{ending}" for ending in ("onnx", "qir", "qir.safetensors")]


def run(path: Path, x: np.ndarray) -> np.ndarray:
    return np.asarray(onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0])


def test_the_ir_after_every_pass_is_onnx_that_runs(qtnc: Run, place: Any) -> None:
    done = compiled(qtnc, place, "--print-ir-after")
    assert done.code == 0, done.err
    folder = place.folder / "out.ir"
    assert f"wrote {folder}\n" in done.err
    assert names(folder) == [file for k, name in enumerate(PASSES, 1) for file in files(k, name)]
    x = np.random.default_rng(0).standard_normal((5, 16)).astype(np.float32)
    before, after = run(place.model, x), run(place.out / "onnx" / "model.onnx", x)
    for number, name in enumerate(PASSES, 1):
        path = folder / f"{number:02}-{name}.onnx"
        onnx.checker.check_model(str(path), full_check=True)
        # float32 rounds otherwise in another order of contraction; the rewrite itself moves y by half
        np.testing.assert_allclose(run(path, x), before if number < 3 else after, rtol=1e-4, atol=1e-4)
        networks = [node.overload for node in load_text(path.with_suffix(".qir")).graph if is_qtn(node)]
        assert networks == (["up"] if 3 <= number < 8 else [])


def test_after_passes_by_name_where_asked(qtnc: Run, place: Any) -> None:
    folder = place.folder / "ir"
    both = ("--print-ir-after=canonicalize", "--print-ir-after=lower-to-onnx")
    assert compiled(qtnc, place, *both, "--ir-dir", folder).code == 0
    assert names(folder) == [*files(1, "canonicalize"), *files(8, "lower-to-onnx")]
    assert compiled(qtnc, place, both[0], "--ir-dir", folder, "--force").code == 0
    assert names(folder) == files(1, "canonicalize")


def test_a_folder_with_other_things_needs_force_and_keeps_them(qtnc: Run, place: Any) -> None:
    folder = place.folder / "out.ir"
    folder.mkdir()
    (folder / "mine").write_text("mine")
    done = compiled(qtnc, place, "--print-ir-after=canonicalize")
    assert (done.code, names(folder), place.out.exists()) == (1, ["mine"], False)
    way_out = "  = help: choose another --ir-dir, or add --force\n"
    assert done.err == f"{folder}: error: the folder is not empty\n{way_out}"
    assert compiled(qtnc, place, "--print-ir-after=canonicalize", "--force").code == 0
    assert names(folder) == [*files(1, "canonicalize"), "mine"]
    assert (folder / "mine").read_text() == "mine"


@pytest.mark.parametrize("kind", ["file", "link", "in out", "with the model"])
def test_folders_that_are_refused(kind: str, qtnc: Run, place: Any) -> None:
    folder, model = place.folder / "ir", place.model
    if kind == "file":
        folder.write_text("mine")
    elif kind == "link":
        (place.folder / "far").mkdir()
        folder.symlink_to(place.folder / "far")
    elif kind == "in out":
        folder = place.out / "ir"
    else:
        folder.mkdir()
        model = place.model.rename(folder / "01-canonicalize.onnx")
    command = ("compile", model, place.spec, "-o", place.out, "--print-ir-after", "--ir-dir", folder, "--force")
    done = qtnc(*command)
    assert (done.code, done.out) == (1, "")
    assert ("not a folder" if kind in ("file", "link") else "lies in the folder to be replaced") in done.err
    assert model.is_file()
    assert not place.out.exists()


def test_a_link_in_the_folder_is_replaced_not_followed(qtnc: Run, place: Any) -> None:
    folder, far = place.folder / "out.ir", place.folder / "far"
    folder.mkdir()
    far.write_text("mine")
    (folder / "01-canonicalize.qir").symlink_to(far)
    assert compiled(qtnc, place, "--print-ir-after").code == 0
    assert far.read_text() == "mine"
    assert not (folder / "01-canonicalize.qir").is_symlink()


def test_every_pass_is_verified(qtnc: Run, place: Any) -> None:
    done = compiled(qtnc, place, "--verify-each")
    assert done.code == 0
    lines = done.err.splitlines()[: len(PASSES)]
    assert [line.split(": y differs by ")[0] for line in lines] == PASSES
    assert lines[0].endswith(" 0.000% on seeded, moved by 0")
    assert "(layers by up to 7" in lines[2]
    assert not any("layers" in line for line in lines if "lowrank" not in line)


def test_on_the_data_of_the_spec(qtnc: Run, place: Any) -> None:
    np.savez(place.folder / "d.npz", x=np.random.default_rng(0).standard_normal((20, 16)).astype(np.float32))
    statements = 'data d = npz("d.npz") take 12\nverify outputs within 90% on d\n'
    place.spec.write_text(place.spec.read_text() + statements)
    done = compiled(qtnc, place, "--verify-each")
    assert done.code == 0
    assert all(" on d, moved by " in line for line in done.err.splitlines()[: len(PASSES)])


def test_halves_round_more(qtnc: Run, place: Any, toys: ModuleType) -> None:
    proto = toys.mlp()
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    for weight in proto.graph.initializer:
        weight.CopyFrom(
            onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight).astype(np.float16), weight.name)
        )
    toys.write(proto, place.model)
    place.spec.write_text(place.spec.read_text().replace("lowrank(rank: 3)", "mpo(sites: 3)"))
    done = compiled(qtnc, place, "--verify-each")
    assert done.code == 0, done.err


def scale(model: Any) -> None:
    """Make the last weight one and a half times what it is."""
    value = model.graph.initializers["down.weight"]
    value.const_value = ir.tensor(value.const_value.numpy() * np.float32(1.5), name="down.weight")


def misname(model: Any) -> None:
    """Leave an operator that does not exist."""
    next(node for node in model.graph if node.op_type == "Relu").op_type = "Rlu"


def misfit(model: Any) -> None:
    """Leave a shape that no checker can know to be wrong: 4 rows of 24 are no 7 rows."""
    relu = next(node for node in model.graph if node.op_type == "Relu")
    shape = ir.Value(name="seven", const_value=ir.tensor(np.array([7, -1]), name="seven"))
    shape.type, shape.shape = ir.TensorType(ir.DataType.INT64), ir.Shape([2])
    model.graph.register_initializer(shape)
    reshape = ir.node("Reshape", [relu.outputs[0], shape])
    reshape.outputs[0].name = "reshaped"
    model.graph.insert_after(relu, reshape)
    next(node for node in model.graph if node.op_type == "MatMul").replace_input_with(0, reshape.outputs[0])


def plant(monkeypatch: pytest.MonkeyPatch, where: str, breaks: Callable[[Any], None], *, modified: bool = True) -> None:
    def broken(step: Any, model: Any) -> PassResult:
        breaks(model)
        return PassResult(model, modified)

    monkeypatch.setattr(where, broken)


@pytest.mark.parametrize(
    ("where", "breaks", "modified", "said"),
    [
        (ORDER, scale, True, "pass choose-contraction-order breaks the model: it moves y by 50.000% (allowed 0.01%)"),
        (MPO, scale, False, "pass matmul-to-mpo breaks the model: it moves y by 50.000% (allowed 0.01%) on seeded"),
        (ORDER, misname, True, "pass choose-contraction-order leaves what is no valid ONNX model"),
        (ORDER, misfit, True, "after pass choose-contraction-order the model does not run in onnxruntime: "),
    ],
)
def test_a_broken_pass_is_named(
    where: str,
    breaks: Callable[[Any], None],
    modified: bool,
    said: str,
    qtnc: Run,
    place: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plant(monkeypatch, where, breaks, modified=modified)
    done = compiled(qtnc, place, "--verify-each", "--print-ir-after=lower-to-onnx")
    assert (done.code, done.out) == (3, "")
    last = done.err.splitlines()[-1]
    assert last.startswith("error: ")
    assert said in last
    if breaks is scale:
        before = done.err.split("matmul-to-lowrank: y differs by ")[1].split()[0]
        assert f"from the original it differed by {before} before, and by " in last
    assert not place.out.exists()


def test_what_a_lossy_pass_may_move_is_finite(qtnc: Run, place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(model: Any) -> None:
        value = model.graph.initializers["down.weight"]
        value.const_value = ir.tensor(np.full((24, 8), np.nan, np.float32), name="down.weight")

    plant(monkeypatch, MPO, spoil)
    done = compiled(qtnc, place, "--verify-each")
    assert done.code == 3
    assert "error: pass matmul-to-mpo breaks the model: it moves y by inf" in done.err
    plant(monkeypatch, MPO, scale)
    assert compiled(qtnc, place, "--verify-each").code == 0


def test_what_a_broken_pass_left_can_be_looked_at(qtnc: Run, place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, ORDER, misname)
    done = compiled(qtnc, place, "--print-ir-after")
    assert done.code == 3
    assert f"{place.folder / 'out.ir' / '07-choose-contraction-order.onnx'}: error: pass choose-" in done.err
    assert "= Rlu(%a)" in (place.folder / "out.ir" / "07-choose-contraction-order.qir").read_text()


def test_nothing_to_verify_on(qtnc: Run, place: Any, toys: ModuleType) -> None:
    nodes = [onnx.helper.make_node("Cast", ["n"], ["y"], to=onnx.TensorProto.FLOAT)]
    proto = toys.model(nodes, [toys.value("n", ["batch"], toys.INT64)], [toys.value("y", ["batch"])])
    toys.write(proto, place.model)
    place.spec.write_text("qtn 1\nemit onnx\n")
    done = compiled(qtnc, place, "--verify-each")
    assert done.code == 1
    assert "error: nothing to run after each pass: the range of the integer input `n` cannot be told" in done.err


def test_another_pipeline(qtnc: Run, place: Any) -> None:
    text = "fold-constants{max_growth=0},matmul-to-lowrank,choose-contraction-order{binds.batch=900},lower-to-onnx"
    done = compiled(qtnc, place, "--pass-pipeline", text, "--verify-each")
    assert done.code == 0, done.err
    assert [line.split(":")[0] for line in done.err.splitlines()[:4]] == [
        "fold-constants",
        "matmul-to-lowrank",
        "choose-contraction-order",
        "lower-to-onnx",
    ]


def test_a_layer_that_no_pass_rewrites_is_owned_up_to(qtnc: Run, place: Any) -> None:
    done = compiled(qtnc, place, "--disable-pass", "matmul-to-lowrank", "--disable-pass=canonicalize")
    assert done.code == 0
    assert "note: up stays dense: the pipeline has no pass to lowrank\n" in done.out
    assert "onnx: y differs by 0.000% on seeded" in done.err
    plan = json.loads((place.out / "plan.json").read_text())
    assert (plan["parameters"], plan["bytes"]) == (plan["model_parameters"], plan["model_bytes"])
    (layer,) = plan["layers"]
    assert (layer["structure"], layer["parameters"], layer["bytes"]) == ("dense", 16 * 24, 4 * 16 * 24)
    assert layer["reason"] == "left as it is: the pipeline has no pass to lowrank"
    report = json.loads((place.out / "report.json").read_text())
    assert report["parameters"]["compiled"] == report["parameters"]["original"]
    assert "lowrank 3" not in (place.out / "report.html").read_text()


def test_a_pass_left_out_of_two_leaves_the_totals_of_what_was_done(qtnc: Run, place: Any) -> None:
    place.spec.write_text(
        place.spec.read_text() + 'select down = MatMul where name ~ "down"\nrewrite down -> mpo(max_bond: 2)\n'
    )
    assert compiled(qtnc, place, "--disable-pass", "matmul-to-lowrank").code == 0
    plan = json.loads((place.out / "plan.json").read_text())
    stored = load_file(place.out / "torch" / "model.safetensors")
    assert plan["parameters"] == sum(array.size for array in stored.values())
    up, down = plan["layers"]
    assert (up["structure"], down["structure"]) == ("dense", "mpo")
    assert plan["parameters"] == 16 * 24 + down["parameters"]


@pytest.mark.parametrize(
    ("options", "pipeline"),
    [
        ([], DEFAULT),
        (["--disable-pass=canonicalize"], DEFAULT.removeprefix("canonicalize,")),
        (
            ["--pass-pipeline", " fold-constants{max_growth=7 },lower-to-onnx"],
            "fold-constants{max_growth=7},lower-to-onnx",
        ),
    ],
)
def test_the_manifest_tells_the_passes(options: list[str], pipeline: str, qtnc: Run, place: Any) -> None:
    assert compiled(qtnc, place, *options).code == 0
    assert json.loads((place.out / "manifest.json").read_text())["pipeline"] == pipeline


@pytest.mark.parametrize("options", [["--disable-pass=lower-to-onnx"], ["--pass-pipeline=matmul-to-lowrank"]])
def test_what_a_backend_cannot_emit_is_its_error(options: list[str], qtnc: Run, place: Any) -> None:
    done = compiled(qtnc, place, *options)
    assert (done.code, done.out) == (1, "")
    assert done.err == "error: operators of qtn are left in the model; lower them first\n"
    place.spec.write_text(place.spec.read_text().replace("emit onnx\n", ""))
    assert compiled(qtnc, place, *options).code == 0  # torch takes networks as they are


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--pass-pipeline=canonicalise", "did you mean `canonicalize`?"),
        ("--pass-pipeline=fold-constants{growth=1}", "`fold-constants` has no option `growth`"),
        ("--disable-pass=lower-to-onx", "did you mean `lower-to-onnx`?"),
        ("--print-ir-after=matmul-to-mp", "did you mean `matmul-to-mpo` or "),
        ("--ir-dir=ir", "add --print-ir-after"),
    ],
)
def test_wrong_options_are_wrong_usage(option: str, said: str, qtnc: Run, place: Any) -> None:
    done = compiled(qtnc, place, option)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert names(place.folder) == ["model.onnx", "spec.qtn"]


def test_timings(qtnc: Run, place: Any) -> None:
    done = compiled(qtnc, place, "--timing", "--verify-each")
    assert done.code == 0
    lines = done.err.splitlines()
    start = next(k for k, line in enumerate(lines) if line.startswith("stage "))
    rows = [line.rsplit(maxsplit=2) for line in lines[start + 1 : -1]]
    stages = [row[0] for row in rows]
    assert [stage for stage in stages if not stage.startswith("verify after ")] == [
        "read",
        *PASSES[:2],
        "plan",
        *PASSES[2:7],
        "emit torch",
        *PASSES[7:],
        "emit onnx",
        "verify",
        "time the whole",
        "reports",
        "total",
    ]
    assert [stage for stage in stages if stage.startswith("verify after ")] == [f"verify after {p}" for p in PASSES]
    # each is rounded to half a millisecond, or to a twentieth of a percent
    assert sum(float(row[1]) for row in rows[:-1]) == pytest.approx(float(rows[-1][1]), abs=0.0005 * len(rows))
    assert sum(float(row[2][:-1]) for row in rows[:-1]) == pytest.approx(100.0, abs=0.05 * len(rows))
    assert "stage" not in compiled(qtnc, place, "--force").err


def test_wrong_usage_of_the_new_commands(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["opt"], ["passes", "--format", "xml"], ["opt", "--pass-pipeline=x"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
        assert capsys.readouterr().err.startswith("usage: qtnc")
