"""A compiled folder is measured from its files, and what was changed since is found."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.external_data_helper import set_external_data
from safetensors.numpy import load_file, save_file

from qtnc.compiler import Compiled, compile_model
from qtnc.errors import DataError, OutputError
from qtnc.importers.onnx import read_model
from qtnc.verify.check import verify_folder
from qtnc.verify.seeded import seeded_feed
from qtnc.verify.verdict import Verdict

Arrays = Mapping[str, NDArray[Any]]

FLOAT32 = 1e-5
"""Rounding of a few float32 products, relative to their norm: some 1e-7 each."""

SPEC = """qtn 1
bind batch = 4
data calib = npz("calib.npz")
data part = npz("calib.npz") take 4
optimize memory
select all = MatMul
rewrite all -> lowrank(rank: 5) on calib
emit torch
emit onnx
verify outputs within 90% on calib
verify outputs within 90%
verify outputs within 1% on part
"""

PLAIN = """qtn 1
optimize memory
select all = MatMul
rewrite all -> lowrank(rank: 3)
emit torch
emit onnx
"""


@dataclass(frozen=True)
class Home:
    """A folder in which a model was compiled."""

    folder: Path
    compiled: Compiled

    @property
    def model(self) -> Path:
        return self.folder / "model.onnx"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def data(self) -> Path:
        return self.folder / "calib.npz"

    def copy(self, folder: Path) -> "Home":
        shutil.copytree(self.folder, folder)
        return Home(folder, self.compiled)


def build(folder: Path, proto: onnx.ModelProto, spec: str, **data: NDArray[Any]) -> Home:
    folder.mkdir(exist_ok=True)
    (folder / "model.onnx").write_bytes(proto.SerializeToString())
    (folder / "spec.qtn").write_text(spec)
    if data:
        np.savez(folder / "calib.npz", **data)
    return Home(folder, compile_model(folder / "model.onnx", folder / "spec.qtn", folder / "out"))


def samples(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((count, 16)).astype(np.float32)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory, toys: ModuleType) -> Home:
    return build(tmp_path_factory.mktemp("pristine"), toys.mlp(), SPEC, x=samples(20))


@pytest.fixture
def home(pristine: Home, tmp_path: Path) -> Home:
    """A compiled folder of one's own, with the model, the spec and the data beside it."""
    return pristine.copy(tmp_path / "home")


def run(path: Path, feed: Arrays) -> dict[str, NDArray[Any]]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(feed)), strict=True))


def distance(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(np.linalg.norm((a - b).astype(np.float64)) / np.linalg.norm(a.astype(np.float64)))


def close(verdicts: tuple[Verdict, ...], others: tuple[Verdict, ...]) -> None:
    """Fail unless two measurements of the same files say the same, up to what threads may reorder."""
    for a, b in zip(verdicts, others, strict=True):
        assert (a.data, a.tolerance, a.holds, a.unmeasured) == (b.data, b.tolerance, b.holds, b.unmeasured)
        for backend, outputs in a.errors.items():
            assert dict(b.errors[backend]) == pytest.approx(dict(outputs), rel=FLOAT32, abs=FLOAT32)


def test_it_measures_what_the_compile_measured(home: Home) -> None:
    before = set(home.out.rglob("*"))
    verdicts = verify_folder(home.out)
    close(verdicts, home.compiled.verdicts)
    assert [(v.data, v.tolerance) for v in verdicts] == [("calib", 0.9), ("seeded", 0.9), ("part", 0.01)]
    assert [v.holds for v in verdicts] == [True, True, False]
    assert not home.compiled.holds
    assert set(home.out.rglob("*")) == before


def test_the_errors_are_those_of_the_outputs(home: Home) -> None:
    x = np.load(home.data)["x"]
    seeded = seeded_feed(read_model(home.model), {"batch": 4})["x"]
    for verdict, feed in zip(verify_folder(home.out), (x, seeded, x[:4]), strict=True):
        truth, ours = (run(path, {"x": feed})["y"] for path in (home.model, home.out / "onnx" / "model.onnx"))
        want = pytest.approx(distance(truth, ours), rel=FLOAT32)
        assert verdict.errors == {"torch": {"y": want}, "onnx": {"y": want}}
        assert verdict.disagreement < FLOAT32


@pytest.mark.parametrize("name", ["torch/model.py", "torch/model.safetensors", "onnx/model.onnx"])
@pytest.mark.parametrize("change", ["a byte", "longer", "missing", "a folder", "a link out"])
def test_a_changed_file_is_named(name: str, change: str, home: Home) -> None:
    path = home.out / name
    content = bytearray(path.read_bytes())
    path.unlink()
    if change == "a byte":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif change == "longer":
        path.write_bytes(content + b"\n")
    elif change == "a folder":
        path.mkdir()
    elif change == "a link out":
        (home.folder / "elsewhere").write_bytes(content)
        path.symlink_to(home.folder / "elsewhere")
    with pytest.raises(OutputError, match="missing, or changed since it was compiled") as caught:
        verify_folder(home.out)
    assert [d.place for d in caught.value.diagnostics] == [str(path)]


def sign(out: Path, name: str) -> None:
    """Give a changed file the hash that it has now."""
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["files"][name] = sha256((out / name).read_bytes()).hexdigest()
    (out / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(("factor", "error"), [(3.0, 2 / 3), (float("nan"), float("inf"))])
def test_numbers_changed_with_their_hash_are_found_by_measuring(factor: float, error: float, home: Home) -> None:
    path = home.out / "torch" / "model.safetensors"
    weights = load_file(path)
    # Where the last product's core is scaled, so is the output; backends are apart relative to torch, the first.
    name = next(key for key in weights if key.startswith("down"))
    save_file({key: w * np.float32(factor if key == name else 1.0) for key, w in weights.items()}, path)
    sign(home.out, "torch/model.safetensors")
    for verdict, before in zip(verify_folder(home.out), home.compiled.verdicts, strict=True):
        assert not verdict.holds
        assert verdict.disagreement == pytest.approx(error, rel=1e-3)
        assert verdict.errors["torch"]["y"] > 0.9
        assert verdict.errors["onnx"]["y"] == pytest.approx(before.errors["onnx"]["y"], rel=FLOAT32)


def test_changed_data_is_no_ground_for_a_verdict(home: Home) -> None:
    np.savez(home.data, x=samples(19))
    with pytest.raises(DataError, match="data `calib` has changed since the compile") as caught:
        verify_folder(home.out)
    assert caught.value.diagnostics[0].place == str(home.data)
    home.data.unlink()
    with pytest.raises(DataError, match="data `calib`: no file"):
        verify_folder(home.out)


def test_all_may_move_together(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = home.folder.rename(tmp_path / "moved")
    close(verify_folder(moved / "out"), home.compiled.verdicts)
    monkeypatch.chdir(moved / "out")
    close(verify_folder(Path(".")), home.compiled.verdicts)


def test_a_moved_model_is_named(home: Home, tmp_path: Path, toys: ModuleType) -> None:
    elsewhere = home.model.rename(tmp_path / "elsewhere.onnx")
    with pytest.raises(OutputError, match=r"the original model is not at \.\./model\.onnx") as caught:
        verify_folder(home.out)
    assert caught.value.diagnostics[0].help == "name it by --model"
    close(verify_folder(home.out, elsewhere), home.compiled.verdicts)
    with pytest.raises(OutputError, match="is not at"):
        verify_folder(home.out, tmp_path / "absent.onnx")
    with pytest.raises(OutputError, match="not the model that was compiled: its hash differs"):
        verify_folder(home.out, toys.write(toys.mlp(batch=4), tmp_path / "other.onnx"))


def test_weights_beside_the_model_are_the_model(tmp_path: Path, toys: ModuleType) -> None:
    proto = toys.mlp()
    tensor = proto.graph.initializer[0]
    (tmp_path / "w.bin").write_bytes(tensor.raw_data)
    set_external_data(tensor, "w.bin")
    tensor.ClearField("raw_data")
    home = build(tmp_path, proto, PLAIN)
    close(verify_folder(home.out), home.compiled.verdicts)
    (tmp_path / "w.bin").write_bytes(bytes(16 * 24 * 4))
    with pytest.raises(OutputError, match="the weights beside this model are not those that were compiled"):
        verify_folder(home.out)


def test_what_is_no_compiled_folder(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(OutputError, match="not a folder that qtnc wrote: it has no manifest.json"):
            verify_folder(folder)


@pytest.mark.parametrize("spec", [PLAIN, SPEC], ids=["seeded", "data"])
def test_a_fixed_batch_is_kept(spec: str, tmp_path: Path, toys: ModuleType) -> None:
    home = build(tmp_path, toys.mlp(batch=2), spec, x=samples(20))
    assert all(0.0 < v.worst < 1.0 and v.disagreement < FLOAT32 for v in home.compiled.verdicts)
    close(verify_folder(home.out), home.compiled.verdicts)


def test_samples_that_do_not_fill_a_fixed_batch_are_refused(tmp_path: Path, toys: ModuleType) -> None:
    with pytest.raises(DataError, match="7 samples, of which the model takes 2 at a time"):
        build(tmp_path, toys.mlp(batch=2), SPEC, x=samples(7))


def test_every_output_has_its_error(tmp_path: Path, toys: ModuleType) -> None:
    """Products before and after a bend, the place of the largest, and whether it is positive."""
    proto = toys.mlp()
    proto.graph.node.extend(
        [
            helper.make_node("ArgMax", ["y"], ["place"], axis=1, keepdims=0),
            helper.make_node("Greater", ["y", "zero"], ["positive"]),
            helper.make_node("Identity", ["x"], ["same"]),
        ]
    )
    proto.graph.initializer.append(numpy_helper.from_array(np.float32(0), "zero"))
    proto.graph.output.extend(
        [
            toys.value("place", ["batch"], toys.INT64),
            toys.value("positive", ["batch", 8], toys.BOOL),
            toys.value("same", ["batch", 16]),
        ]
    )
    home = build(tmp_path, proto, SPEC, x=samples(20))
    verdict = verify_folder(home.out)[0]
    truth, ours = (run(p, {"x": samples(20)}) for p in (home.model, home.out / "onnx" / "model.onnx"))
    want = {
        "y": distance(truth["y"], ours["y"]),
        "place": float(np.mean(truth["place"] != ours["place"])),
        "positive": float(np.mean(truth["positive"] != ours["positive"])),
        "same": 0.0,
    }
    assert 0.0 < want["place"] < 1.0
    assert 0.0 < want["positive"] < 1.0
    for backend in ("torch", "onnx"):
        assert dict(verdict.errors[backend]) == pytest.approx(want, rel=FLOAT32)


def chain(toys: ModuleType) -> onnx.ModelProto:
    """Three products in a row, the last two by one weight."""
    names = {"a": ("x", "v"), "b": ("a", "w"), "y": ("b", "w")}
    nodes = [helper.make_node("MatMul", [x, weight], [out]) for out, (x, weight) in names.items()]
    weights = [toys.weight("v", 16, 12), toys.weight("w", 12, 12)]
    return toys.model(nodes, [toys.value("x", ["batch", 16])], [toys.value("y", ["batch", 12])], weights)


def single_number(toys: ModuleType) -> onnx.ModelProto:
    """An input without axes, and an output that is made of it alone."""
    proto = toys.mlp()
    proto.graph.node.append(helper.make_node("Mul", ["s", "s"], ["z"]))
    proto.graph.input.append(toys.value("s", []))
    proto.graph.output.append(toys.value("z", []))
    return proto


def weight_among_inputs(toys: ModuleType) -> onnx.ModelProto:
    """As older exporters write models."""
    proto = toys.mlp()
    proto.graph.input.insert(0, toys.value("up.weight", [16, 24]))
    return proto


@pytest.mark.parametrize("make", [chain, single_number, weight_among_inputs])
def test_models_of_other_forms(make: Callable[[ModuleType], onnx.ModelProto], tmp_path: Path, toys: ModuleType) -> None:
    home = build(tmp_path, make(toys), PLAIN.replace("rank: 3", "rank: 12"))
    (verdict,) = verify_folder(home.out)
    assert verdict.holds
    exact = {"chain": {"y"}, "single_number": {"z"}}.get(make.__name__, set())
    for outputs in verdict.errors.values():
        # Rank 12 is full in the chain; elsewhere it loses something of y.
        assert all(error < FLOAT32 if name in exact else 0.0 < error < 1.0 for name, error in outputs.items())


def test_weights_that_older_exporters_list_as_inputs_need_no_data(tmp_path: Path, toys: ModuleType) -> None:
    home = build(tmp_path, weight_among_inputs(toys), SPEC, x=samples(20))
    close(verify_folder(home.out), home.compiled.verdicts)
    session = onnxruntime.InferenceSession(str(home.out / "onnx" / "model.onnx"))
    assert [value.name for value in session.get_inputs()] == ["x"]


def test_without_weights_there_is_nothing_to_lose(tmp_path: Path, toys: ModuleType) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    proto = toys.model(nodes, [toys.value("x", ["batch", 3])], [toys.value("y", ["batch", 3])])
    home = build(tmp_path, proto, "qtn 1\nemit torch\nemit onnx\nverify outputs within 1%\n")
    (verdict,) = verify_folder(home.out)
    assert verdict.errors == {"torch": {"y": 0.0}, "onnx": {"y": 0.0}}


@pytest.fixture
def opaque(toys: ModuleType) -> onnx.ModelProto:
    """A product of x, and of integers of which the graph says nothing."""
    nodes = [
        helper.make_node("Cast", ["k"], ["f"], to=toys.FLOAT),
        helper.make_node("Add", ["x", "f"], ["a"]),
        helper.make_node("MatMul", ["a", "w"], ["y"]),
    ]
    inputs = [toys.value("x", ["batch", 16]), toys.value("k", ["batch", 16], toys.INT64)]
    return toys.model(nodes, inputs, [toys.value("y", ["batch", 8])], [toys.weight("w", 16, 8)])


def test_without_data_and_limit_it_may_stay_unmeasured(opaque: onnx.ModelProto, tmp_path: Path) -> None:
    home = build(tmp_path, opaque, PLAIN)
    (verdict,) = verify_folder(home.out)
    assert verdict.holds
    assert verdict.errors == {}
    assert "integer input `k`" in (verdict.unmeasured or "")
    close((verdict,), home.compiled.verdicts)


def test_a_limit_needs_inputs(opaque: onnx.ModelProto, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"integer input `k`.*verify \.\.\. on DATA"):
        build(tmp_path, opaque, PLAIN + "verify outputs within 50%\n")
    assert not (tmp_path / "out").exists()


def test_seeded_inputs_that_do_not_run_say_so(tmp_path: Path, toys: ModuleType) -> None:
    """A symbol that must be 7, which only the Add knows."""
    nodes = [helper.make_node("Add", ["x", "z"], ["a"]), helper.make_node("MatMul", ["a", "w"], ["y"])]
    inputs = [toys.value("x", ["batch", 5, 16]), toys.value("z", [7, "other", 16])]
    proto = toys.model(nodes, inputs, [toys.value("y", [None] * 3)], [toys.weight("w", 16, 8)])
    with pytest.raises(DataError, match="the inputs do not run through the model") as caught:
        build(tmp_path, proto, PLAIN)
    assert caught.value.diagnostics[0].help == "verify on data that the model takes (verify ... on DATA)"
    assert not (tmp_path / "out").exists()
