"""The reports beside a compiled model: what they count is what lies on disk."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import onnx
import pytest
from onnx.external_data_helper import set_external_data

from qtnc.compiler import Compiled, compile_model
from qtnc.pipeline import Ran
from qtnc.planner.plan import Baselines, LayerPlan, Plan
from qtnc.report.write import folder_bytes, model_bytes, write_reports
from qtnc.rewrite.decision import Rewritten
from qtnc.verify.verdict import Verdict

Entry = Callable[..., LayerPlan]
Plans = Callable[..., Plan]

INF = float("inf")


def strict(path: Path) -> Any:
    """JSON as the standard has it: no NaN, no infinity."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{path.name} holds {word}")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def on_disk(folder: Path) -> int:
    return sum(os.path.getsize(Path(root) / name) for root, _, names in os.walk(folder) for name in names)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory, toys: ModuleType) -> Compiled:
    folder = tmp_path_factory.mktemp("compiled")
    (folder / "spec.qtn").write_text(
        "qtn 1\nbind batch = 4\noptimize memory\nselect all = MatMul\n"
        "rewrite all -> lowrank(rank: 3)\nemit torch\nemit onnx\nverify outputs within 90%\n"
    )
    model = toys.write(toys.mlp(), folder / "model.onnx")
    return compile_model(model, folder / "spec.qtn", folder / "out")


def test_sizes_are_those_on_disk(compiled: Compiled) -> None:
    out = compiled.out
    report = strict(out / "report.json")
    assert report["bytes_on_disk"] == {
        "original": os.path.getsize(out.parent / "model.onnx"),
        "torch": on_disk(out / "torch"),
        "onnx": on_disk(out / "onnx"),
    }
    page = (out / "report.html").read_text(encoding="utf-8")
    assert all(f'<td class="n">{report["bytes_on_disk"][b]:,}</td>' in page for b in ("torch", "onnx"))


def test_the_reports_say_what_was_compiled(compiled: Compiled) -> None:
    report = strict(compiled.out / "report.json")
    assert strict(compiled.out / "plan.json") == compiled.plan.to_json()
    assert report["parameters"] == {"original": 16 * 24 + 24 * 8, "compiled": 3 * (16 + 24) + 3 * (24 + 8)}
    notes = [note for step in compiled.ran for note in step.notes if isinstance(note, Rewritten)]
    assert [note.layer for note in notes] == ["up", "down"]
    assert report["layers"] == [asdict(note) for note in notes]
    assert report["verify"] == [verdict.to_json() for verdict in compiled.verdicts]
    assert [p["name"] for p in report["passes"]] == [step.name for step in compiled.ran]
    assert all(p["seconds"] >= 0.0 for p in report["passes"])
    # Cores are stored in float32: what was predicted in double is held to some 1e-7.
    for layer, entry in zip(report["layers"], compiled.plan.layers, strict=True):
        assert layer["error"] == pytest.approx(entry.predicted_error, rel=1e-5)
        assert layer["parameters"] == entry.parameters


def outside(proto: onnx.ModelProto, folder: Path, locations: list[str]) -> None:
    """Move the first weights of a model into files, one after another in each."""
    for tensor, location in zip(proto.graph.initializer, locations, strict=False):
        path = folder / location
        path.parent.mkdir(exist_ok=True)
        before = path.stat().st_size if path.exists() else 0
        with path.open("ab") as file:
            file.write(tensor.raw_data)
        set_external_data(tensor, location, before, len(tensor.raw_data))
        tensor.ClearField("raw_data")


@pytest.mark.parametrize(
    "locations",
    [["w.bin"], ["w.bin", "w.bin"], ["a.bin", "sub/b.bin"], ["w.bin", "./w.bin"], ["sub/w.bin", "sub//w.bin"]],
)
def test_weights_beside_the_model_are_counted_once(locations: list[str], tmp_path: Path, toys: ModuleType) -> None:
    proto = toys.mlp()
    outside(proto, tmp_path, locations)
    path = toys.write(proto, tmp_path / "model.onnx")
    assert model_bytes(path) == on_disk(tmp_path)
    assert model_bytes(path) > sum(size * 4 for size in (16 * 24, 24 * 8)[: len(locations)])


def test_a_file_beside_the_model_that_holds_no_weights_is_not_counted(tmp_path: Path, toys: ModuleType) -> None:
    path = toys.write(toys.mlp(), tmp_path / "model.onnx")
    (tmp_path / "w.bin").write_bytes(bytes(1000))
    assert model_bytes(path) == os.path.getsize(path)


def test_the_report_counts_weights_beside_the_original(tmp_path: Path, make_plan: Plans, toys: ModuleType) -> None:
    proto = toys.mlp()
    outside(proto, tmp_path, ["w.bin"])
    path = toys.write(proto, tmp_path / "model.onnx")
    out = tmp_path / "out"
    (out / "onnx" / "deep").mkdir(parents=True)
    (out / "onnx" / "model.onnx").write_bytes(bytes(12))
    (out / "onnx" / "deep" / "model.onnx.data").write_bytes(bytes(3000))
    write_reports(out, make_plan(), (), (), ["onnx"], path)
    sizes = strict(out / "report.json")["bytes_on_disk"]
    assert sizes == {"original": os.path.getsize(path) + 16 * 24 * 4, "onnx": 3012}
    assert folder_bytes(out / "onnx") == on_disk(out / "onnx") == 3012
    assert sorted(p.name for p in out.iterdir()) == ["onnx", "plan.json", "report.html", "report.json"]


def test_json_has_no_infinity(entry: Entry, make_plan: Plans, tmp_path: Path, toys: ModuleType) -> None:
    plan = make_plan(entry(predicted_error=INF, baselines=Baselines(INF, None, 0.0, 0.0)))
    ran = (Ran("matmul-to-lowrank", True, 0.1, (Rewritten("layers.0.up", "lowrank", 120, 384, INF), "another note")),)
    verdicts = (Verdict("calib", 0.1, {"torch": {"y": INF}}, INF),)
    write_reports(tmp_path, plan, ran, verdicts, [], toys.write(toys.mlp(), tmp_path / "model.onnx"))
    report, planned = (strict(tmp_path / name) for name in ("report.json", "plan.json"))
    assert [layer["error"] for layer in report["layers"]] == [None]
    assert report["verify"][0]["worst"] is None
    assert planned["layers"][0]["predicted_error"] is None


def test_names_of_any_kind_are_written(entry: Entry, make_plan: Plans, tmp_path: Path, toys: ModuleType) -> None:
    name = 'ü"\\\n\x1b</script>'
    ran = (Ran("matmul-to-lowrank", True, 0.1, (Rewritten(name, "lowrank", 120, 384, 0.1),)),)
    write_reports(tmp_path, make_plan(entry(layer=name)), ran, (), [], toys.write(toys.mlp(), tmp_path / "m.onnx"))
    assert strict(tmp_path / "report.json")["layers"][0]["layer"] == name
    assert strict(tmp_path / "plan.json")["layers"][0]["layer"] == name
    assert all((tmp_path / file).read_text(encoding="utf-8") for file in ("report.html", "report.json", "plan.json"))


def test_a_file_name_that_is_no_text_is_written_too(make_plan: Plans, tmp_path: Path, toys: ModuleType) -> None:
    """Python spells what is not UTF-8 in a file's name by surrogates, which no file can hold."""
    name = os.fsdecode(b"m\xff.onnx")
    write_reports(tmp_path, make_plan(model=name), (), (), [], toys.write(toys.mlp(), tmp_path / "model.onnx"))
    assert "<h1>m\\udcff.onnx by spec.qtn</h1>" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert strict(tmp_path / "plan.json")["model"] == name
