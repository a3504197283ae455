"""What the command line says, where it says it, and the exit code it ends with."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest

import qtnc as package
from qtnc.cli import main

Run = Callable[..., Any]

TIGHT = "verify outputs within 0.1%\n"
"""What a rank of 3 cannot hold."""

HOSTILE = "a\x1b[31m\nb\"'\\\u202e\u0085\t`"
"""A name that colours, breaks lines, ends quotes and turns text around."""


def process(*arguments: Any, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", "qtnc", *map(str, arguments)]
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.run(command, text=True, check=False, **given)


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_data_goes_to_stdout_and_messages_to_stderr(qtnc: Run, place: Any) -> None:
    done = qtnc("inspect", place.model)
    assert (done.code, done.err) == (0, "")
    assert [line.split()[:3] for line in done.out.splitlines()] == [
        ["layer", "op", "weight"],
        ["up", "MatMul", "16x24"],
        ["down", "MatMul", "24x8"],
    ]
    done = qtnc("plan", place.model, place.spec)
    assert (done.code, done.err) == (0, "")
    assert "lowrank 3" in done.out
    assert names(place.folder) == ["model.onnx", "spec.qtn"]
    done = qtnc("compile", place.model, place.spec, "-o", place.out)
    assert done.code == 0
    assert "lowrank 3" in done.out
    assert [line.split(":")[0] for line in done.err.splitlines()] == ["torch", "onnx", f"wrote {place.out}"]
    assert names(place.folder) == ["model.onnx", "out", "spec.qtn"]
    done = qtnc("verify", place.out)
    assert (done.code, done.err) == (0, "")
    assert [line.split(":")[0] for line in done.out.splitlines()] == ["torch", "onnx"]


def test_inspect_as_data(qtnc: Run, place: Any) -> None:
    done = qtnc("inspect", place.model, "--format", "json")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out) == [
        {"layer": "up", "op": "MatMul", "shape": [16, 24], "dtype": "FLOAT", "elements": 384, "bytes": 1536},
        {"layer": "down", "op": "MatMul", "shape": [24, 8], "dtype": "FLOAT", "elements": 192, "bytes": 768},
    ]


@pytest.mark.parametrize("form", [("--format", "json"), ("--json",)])
def test_plan_as_data(form: tuple[str, ...], qtnc: Run, place: Any) -> None:
    done = qtnc("plan", place.model, place.spec, *form)
    assert (done.code, done.err) == (0, "")
    plan = json.loads(done.out)
    assert (plan["format"], plan["model"], plan["spec"]) == (1, "model.onnx", "spec.qtn")
    assert (plan["optimize"], plan["binds"], plan["unclaimed"], plan["notes"]) == ("memory", {"batch": 4}, 1, [])
    assert (plan["model_parameters"], plan["parameters"]) == (16 * 24 + 24 * 8, 3 * (16 + 24) + 24 * 8)
    assert (plan["model_bytes"], plan["bytes"]) == (4 * plan["model_parameters"], 4 * plan["parameters"])
    assert set(plan["estimate"]) == {"seconds", "memory_bytes"}
    (entry,) = plan["layers"]
    assert (entry["layer"], entry["op"], entry["shape"], entry["rule"]) == ("up", "MatMul", [16, 24], "spec.qtn:5")
    assert (entry["structure"], entry["settled"], entry["metric"]) == ("lowrank", {"rank": 3}, "weights")
    assert (entry["parameters"], entry["bytes"], entry["rows"]) == (120, 480, 4)
    assert (entry["flops"], entry["dense_flops"]) == (2 * 4 * 120, 2 * 4 * 16 * 24)
    assert (entry["overruled"], entry["reason"]) == ([], "rank as asked")
    assert 0.0 < entry["predicted_error"] < 1.0
    assert set(entry["baselines"]) == {"svd", "whitened_svd", "int8", "int4"}
    assert entry["latency"] in entry["times"]
    assert {(time["runtime"], time["rows"]) for time in entry["times"]} == {
        (runtime, rows) for runtime in ("onnxruntime", "torch") for rows in (1, 4, 8, 128, 1024)
    }


def test_what_is_set_is_in_effect_and_recorded(qtnc: Run, place: Any) -> None:
    settings = ("--set", "batch=7", "--set", "optimize=latency")
    plan = json.loads(qtnc("plan", place.model, place.spec, "--json", *settings).out)
    assert (plan["optimize"], plan["binds"]) == ("latency", {"batch": 7})
    assert plan["settings"] == {"batch": 7, "optimize": "latency"}
    assert [entry["rows"] for entry in plan["layers"]] == [7]
    done = qtnc("compile", place.model, place.spec, "-o", place.out, *settings)
    assert done.code == 0
    assert "batch = 7 by --set\noptimize = latency by --set\n" in done.out
    for name in ("plan.json", "manifest.json"):
        written = json.loads((place.out / name).read_text())
        assert (written["optimize"], written["binds"]) == ("latency", {"batch": 7})
        assert written["settings"] == {"batch": 7, "optimize": "latency"}
    assert qtnc("verify", place.out).code == 0


@pytest.mark.parametrize("command", ["plan", "compile"])
def test_what_cannot_be_set_is_wrong_usage(command: str, qtnc: Run, place: Any) -> None:
    rest = ["-o", place.out] if command == "compile" else []
    done = qtnc(command, place.model, place.spec, *rest, "--set", "bacth=7")
    said = "unknown setting `bacth`\n  = help: did you mean `batch`? what can be set: `batch` and `optimize`\n"
    assert (done.code, done.out, done.err) == (2, "", f"--set bacth=7: error: {said}")
    assert not place.out.exists()


def test_verify_as_data(qtnc: Run, place: Any) -> None:
    qtnc("compile", place.model, place.spec, "-o", place.out)
    done = qtnc("verify", place.out, "--format", "json")
    assert (done.code, done.err) == (0, "")
    (verdict,) = json.loads(done.out)
    assert (verdict["data"], verdict["tolerance"], verdict["holds"]) == ("seeded", None, True)
    assert verdict["unmeasured"] is None
    errors = {backend: outputs["y"] for backend, outputs in verdict["errors"].items()}
    assert set(errors) == {"torch", "onnx"}
    assert verdict["worst"] == max(errors.values())
    assert 0.0 <= verdict["disagreement"] < 1e-6  # two kernels in float32
    assert json.loads((place.out / "report.json").read_text())["verify"][0]["errors"]["onnx"] == {
        "y": pytest.approx(errors["onnx"], rel=1e-6)
    }


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["melt"],
        ["inspect"],
        ["plan", "model.onnx"],
        ["compile", "model.onnx", "spec.qtn"],
        ["inspect", "model.onnx", "--format", "xml"],
        ["verify", "out", "--wrong"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("usage: qtnc")


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert all(f"\n    {command} " in said.out for command in ("inspect", "plan", "compile", "verify"))
    done = process("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"qtnc {package.__version__}\n", "")


def test_what_is_not_there_or_no_file(qtnc: Run, place: Any) -> None:
    absent, folder = place.folder / "absent", place.folder
    for arguments, said in (
        (["inspect", absent], f"{absent}: error: no such file"),
        (["inspect", folder], f"{folder}: error: not a file"),
        (["plan", absent, place.spec], f"{absent}: error: no such file"),
        (["plan", place.model, absent], f"{absent}: error: cannot read the spec: no such file or directory"),
        (["plan", place.model, folder], f"{folder}: error: cannot read the spec: is a directory"),
        (["plan", place.spec, place.spec], f"{place.spec}: error: not an ONNX model, or a damaged one"),
        (["verify", absent], f"{absent}: error: not a folder that qtnc wrote: it has no manifest.json"),
        (["verify", folder], f"{folder}: error: not a folder that qtnc wrote: it has no manifest.json"),
        (["verify", place.model], f"{place.model}: error: not a folder that qtnc wrote: it has no manifest.json"),
    ):
        done = qtnc(*arguments)
        assert (done.code, done.out, done.err.splitlines()[0]) == (1, "", said)
    for model, spec in ((absent, place.spec), (folder, place.spec), (place.model, absent)):
        assert qtnc("compile", model, spec, "-o", place.out).code == 1
    assert names(folder) == ["model.onnx", "spec.qtn"]


def test_a_selector_that_matches_nothing(qtnc: Run, place: Any) -> None:
    place.spec.write_text(place.spec.read_text().replace('"up"', '"upp*"'))
    for arguments in (["plan"], ["compile", "-o", place.out]):
        done = qtnc(*arguments, place.model, place.spec)
        assert (done.code, done.out) == (1, "")
        assert done.err.splitlines()[:3] == [
            f"{place.spec}:4:26: error: `up` selects nothing",
            '  4 | select up = MatMul where name ~ "upp*"',
            "    |                          ^^^^^^^^^^^^^",
        ]
        assert done.err.splitlines()[3].startswith("  = help: of 2 MatMul layers, none is named so")
    assert names(place.folder) == ["model.onnx", "spec.qtn"]


def test_every_mistake_of_a_spec_is_told_with_its_place(qtnc: Run, place: Any) -> None:
    place.spec.write_text("qtn 1\nselct up = MatMul\nrewrite down -> lowrank(rnk: 3)\nemit onnx\n")
    done = qtnc("plan", place.model, place.spec)
    assert (done.code, done.out) == (1, "")
    places = [line.split(": error: ")[0] for line in done.err.splitlines() if ": error: " in line]
    assert places == [f"{place.spec}:2:1", f"{place.spec}:3:9", f"{place.spec}:3:25"]


def test_a_full_folder_needs_force(qtnc: Run, place: Any) -> None:
    place.out.mkdir()
    (place.out / "mine").write_text("mine")
    command = ("compile", place.model, place.spec, "-o", place.out)
    done = qtnc(*command)
    assert (done.code, done.out) == (1, "")
    assert done.err == f"{place.out}: error: the folder is not empty\n  = help: choose another -o, or add --force\n"
    assert names(place.out) == ["mine"]
    assert qtnc(*command, "--force").code == 0
    assert "manifest.json" in names(place.out)
    assert "mine" not in names(place.out)


def test_what_does_not_hold_is_3_and_is_kept(qtnc: Run, place: Any) -> None:
    place.spec.write_text(place.spec.read_text() + TIGHT)
    done = qtnc("compile", place.model, place.spec, "-o", place.out)
    assert done.code == 3
    assert "lowrank 3" in done.out
    *verdicts, wrote, last = done.err.splitlines()
    assert [line.startswith(f"{b}: y differs by ") for b, line in zip(("torch", "onnx"), verdicts, strict=True)]
    assert all(line.endswith(" on seeded (allowed 0.100%) FAILED") for line in verdicts)
    assert (wrote, last) == (
        f"wrote {place.out}",
        "error: verification failed; the folder is there to be looked at",
    )
    done = qtnc("verify", place.out)
    assert (done.code, done.out.splitlines(), done.err) == (3, verdicts, "")
    done = qtnc("verify", place.out, "--format", "json")
    assert done.code == 3
    assert [verdict["holds"] for verdict in json.loads(done.out)] == [False]


def test_verify_finds_what_changed(qtnc: Run, place: Any) -> None:
    qtnc("compile", place.model, place.spec, "-o", place.out)
    for name in ("onnx/model.onnx", "torch/model.py"):
        path = place.out / name
        whole = path.read_bytes()
        path.write_bytes(whole + b" ")
        done = qtnc("verify", place.out)
        assert (done.code, done.out) == (1, "")
        assert done.err == f"{path}: error: missing, or changed since it was compiled\n"
        path.write_bytes(whole)
    assert qtnc("verify", place.out).code == 0


def test_verify_is_told_where_the_model_is(qtnc: Run, place: Any, toys: ModuleType) -> None:
    qtnc("compile", place.model, place.spec, "-o", place.out)
    moved = place.model.rename(place.folder / "moved.onnx")
    done = qtnc("verify", place.out)
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines() == [
        f"{place.out}: error: the original model is not at ../model.onnx",
        "  = help: name it by --model",
    ]
    assert qtnc("verify", place.out, "--model", moved).code == 0
    absent = place.folder / "absent.onnx"
    done = qtnc("verify", place.out, "--model", absent)
    assert done.code == 1
    assert done.err.startswith(f"{place.out}: error: the original model is not at {absent}\n")
    other = toys.write(toys.mlp(batch=3), place.folder / "other.onnx")
    done = qtnc("verify", place.out, "--model", other)
    assert (done.code, done.out) == (1, "")
    assert done.err == f"{other}: error: this is not the model that was compiled: its hash differs\n"


def fail(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let the pass that rewrites to low rank fail."""

    def run(*arguments: Any) -> Any:
        raise error

    monkeypatch.setattr("qtnc.passes.matmul_to_lowrank.MatmulToLowrank.run", run)


def test_a_bug_is_70_and_says_so(qtnc: Run, place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QTNC_TRACEBACK", raising=False)
    (place.folder / "here").mkdir()
    monkeypatch.chdir(place.folder / "here")
    command = ("compile", place.model, place.spec, "-o", place.out)
    fail(monkeypatch, ZeroDivisionError("of \x1b[31m"))
    done = qtnc(*command)
    assert (done.code, done.out) == (70, "")
    assert "pass matmul-to-lowrank failed (passes before it: none): of \\x1b[31m\n" in done.err
    assert "this is a bug in qtnc; please report it" in done.err
    monkeypatch.setattr("qtnc.compiler.make_plan", lambda *arguments, **named: [][1])
    done = qtnc(*command)
    assert (done.code, done.out) == (70, "")
    assert done.err.startswith("error: internal error: IndexError: list index out of range\nthis is a bug in qtnc")
    assert names(place.folder) == ["here", "model.onnx", "spec.qtn"]
    first, second = sorted((place.folder / "here").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    assert f"please report it with {second}, which has all that is needed\n" in done.err
    told = (first / "command.txt").read_text()
    assert told.startswith(f"qtnc 'compile' '{place.model}' '{place.spec}' '-o' '{place.out}'\n")
    assert f"'model.onnx', {place.model.stat().st_size:,} bytes" in told
    assert "onnxruntime 1." in told
    assert "ZeroDivisionError" in (first / "traceback.txt").read_text()
    copies = {path.name.partition("-")[2]: path.read_bytes() for path in first.iterdir() if "-" in path.name}
    assert copies == {path.name: path.read_bytes() for path in (place.model, place.spec)}


def test_a_bug_in_a_folder_that_cannot_be_written(
    qtnc: Run, place: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The reproducer goes to where the system keeps what is temporary; large files are named only."""
    monkeypatch.setattr(Path, "cwd", lambda: tmp_path / "nowhere")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("qtnc.cli.reproducer.LARGEST", 10)
    fail(monkeypatch, ZeroDivisionError("of"))
    assert qtnc("compile", place.model, place.spec, "-o", place.out).code == 70
    (folder,) = tmp_path.glob("qtnc-bug-*")
    assert names(folder) == ["command.txt", "traceback.txt"]
    assert "too large to be copied" in (folder / "command.txt").read_text()


def test_a_bug_is_shown_where_one_asks(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QTNC_TRACEBACK", "1")
    monkeypatch.setattr("qtnc.compiler.make_plan", lambda *arguments, **named: [][1])
    with pytest.raises(IndexError):
        main(["plan", str(place.model), str(place.spec)])


def test_an_interrupt_is_130_and_leaves_nothing(qtnc: Run, place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(monkeypatch, KeyboardInterrupt())
    done = qtnc("compile", place.model, place.spec, "-o", place.out)
    assert (done.code, done.out, done.err) == (130, "", "interrupted\n")
    assert names(place.folder) == ["model.onnx", "spec.qtn"]


def test_out_of_memory_is_no_bug(qtnc: Run, place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(monkeypatch, MemoryError())
    done = qtnc("compile", place.model, place.spec, "-o", place.out)
    assert (done.code, done.out, done.err) == (1, "", "error: out of memory\n")
    assert names(place.folder) == ["model.onnx", "spec.qtn"]


def hostile(toys: ModuleType) -> onnx.ModelProto:
    """The small model, all of whose names are hostile."""
    proto = toys.mlp()
    graph = proto.graph
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = HOSTILE + value.name
    for node in graph.node:
        node.name = HOSTILE + node.name
        for words in (node.input, node.output):
            words[:] = [HOSTILE + word for word in words]
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = HOSTILE + "batch"
    return proto


def test_no_name_reaches_the_terminal_raw(qtnc: Run, place: Any, toys: ModuleType) -> None:
    folder = place.folder / "a\x1b[31m\u202e"
    folder.mkdir()
    model = toys.write(hostile(toys), folder / "model\x1b[31m.onnx")
    out = folder / "out\x1b[31m"

    def spec(name: str, *statements: str) -> Path:
        path = folder / f"{name}\x1b[31m.qtn"
        path.write_text("\n".join(["qtn 1", *statements, "emit torch", "emit onnx", ""]))
        return path

    good = spec(
        "good",
        "optimize memory",
        "select a = MatMul",
        "rewrite a -> lowrank(error: 1%)",
        "rewrite a -> lowrank(rank: 3)",
        TIGHT,
    )
    refused = spec("refused", "optimize memory", "select a = MatMul", "rewrite a -> lowrank(error: 1%)")
    narrow = spec("narrow", 'select a = MatMul where name ~ "up"', "rewrite a -> lowrank")
    misfit = spec("misfit", "select a = MatMul", "rewrite a -> mpo(sites: [2x2, 2x2])")
    absent = spec("absent", 'data d = npz("absent.npz")')
    for code, *arguments in (
        (0, "inspect", model),
        (0, "inspect", model, "--format", "json"),
        (0, "plan", model, good),
        (0, "plan", model, good, "--json"),
        (0, "plan", model, refused),
        (1, "plan", model, narrow),
        (1, "plan", model, misfit),
        (1, "plan", model, absent),
        (3, "compile", model, good, "-o", out),
        (1, "compile", model, good, "-o", out),
        (3, "verify", out),
        (3, "verify", out, "--format", "json"),
        (1, "verify", out, "--model", good),
        (1, "verify", folder),
        (1, "inspect", good),
    ):
        done = qtnc(*arguments)
        assert done.code == code, done.err
        assert "\\x1b[31m" in done.out + done.err or "\\u001b[31m" in done.out
        assert {c for c in done.out + done.err if not c.isprintable()} == {"\n"}
    assert len(qtnc("inspect", model).out.splitlines()) == 3  # a header, and a line a layer


def test_names_from_data_are_shown_too(qtnc: Run, place: Any) -> None:
    np.savez(place.folder / "data.npz", **{HOSTILE: np.ones((4, 16), np.float32)})
    place.spec.write_text('qtn 1\ndata d = npz("data.npz")\nemit onnx\n')
    done = qtnc("plan", place.model, place.spec)
    assert (done.code, done.out) == (1, "")
    assert "\\x1b[31m\\x0ab" in done.err
    assert {c for c in done.err if not c.isprintable()} == {"\n"}


def test_a_reader_that_leaves_is_no_failure(place: Any) -> None:
    """As ``qtnc inspect model.onnx | head -0``."""
    reader, writer = os.pipe()
    os.close(reader)
    done = process("inspect", place.model, stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_disk_behind_stdout_is_told(place: Any) -> None:
    with Path("/dev/full").open("w") as full:
        done = process("inspect", place.model, stdout=full)
    assert (done.returncode, done.stderr) == (1, "error: No space left on device\n")


def closed(descriptors: str, *arguments: Any) -> subprocess.CompletedProcess[str]:
    """Run the command in a process that begins without these streams, as the shell's ``>&-`` does."""
    code = (
        f"import os, sys; [os.close(k) for k in {list(map(int, descriptors))}]; os.execv(sys.executable, sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, sys.executable, "-m", "qtnc", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_stdout_or_stderr_may_be_closed(place: Any) -> None:
    done = closed("1", "inspect", place.model)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = closed("2", "inspect", place.folder / "absent.onnx")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


def test_all_streams_may_be_closed(qtnc: Run, place: Any) -> None:
    done = closed("012", "compile", place.model, place.spec, "-o", place.out)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert qtnc("verify", place.out).code == 0
