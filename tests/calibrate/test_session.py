"""Sessions of models in memory, wherever their weights lie."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import numpy_helper

from qtnc.calibrate import session
from qtnc.calibrate.session import session_at, session_of
from qtnc.errors import DataError
from qtnc.importers.onnx import read_model
from qtnc.ir.inference import infer_shapes


def test_weights_beside_the_model(toys: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(toys.mlp(), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")  # onnxruntime looks beside the working directory
    x = np.random.default_rng(0).standard_normal((3, 16)).astype(np.float32)
    found, expected = (made.run(None, {"x": x})[0] for made in (session_of(read_model(path)), session_at(path)))
    np.testing.assert_array_equal(found, expected)


def test_weights_of_branches_beside_the_model(toys: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(toys.branching(), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    for truth in (True, False):
        feed = {"x": np.random.default_rng(0).standard_normal((3, 16)).astype(np.float32), "c": np.array(truth)}
        found, expected = (made.run(None, feed)[0] for made in (session_of(read_model(path)), session_at(path)))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_weights_of_two_folders(toys: ModuleType, tmp_path: Path) -> None:
    """As after weights were moved between models: they are read, for onnxruntime looks in one folder."""
    models = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        onnx.save(
            toys.mlp(), tmp_path / name / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0
        )
        models.append(read_model(tmp_path / name / "m.onnx"))
    models[0].graph.initializers["up.weight"].const_value = models[1].graph.initializers["up.weight"].const_value
    x = np.random.default_rng(0).standard_normal((3, 16)).astype(np.float32)
    expected = session_at(tmp_path / "one" / "m.onnx").run(None, {"x": x})[0]
    np.testing.assert_array_equal(session_of(models[0]).run(None, {"x": x})[0], expected)


def test_a_loop_without_end_is_given_up(
    toys: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtnc: Callable[..., Any]
) -> None:
    model = toys.branching()
    model.graph.initializer[-1].CopyFrom(numpy_helper.from_array(np.array(2**62), "times"))
    toys.write(model, tmp_path / "m.onnx")
    (tmp_path / "s.qtn").write_text(
        "qtn 1\noptimize memory\nselect it = MatMul\nrewrite it -> lowrank(rank: 2)\nemit onnx\n"
    )
    monkeypatch.setattr(session, "LONGEST", 0.2)
    done = qtnc("compile", tmp_path / "m.onnx", tmp_path / "s.qtn", "-o", tmp_path / "out")
    assert done.code == 1
    assert "the inputs do not run through the model" in done.err
    assert "terminate" in done.err
    assert not (tmp_path / "out").exists()


def test_values_larger_than_the_machine_are_named(toys: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ir.from_proto(toys.mlp(batch=1000))
    infer_shapes(model)
    session.check_fits(model)
    monkeypatch.setattr(session, "available", lambda: 4 * 1000 * 24 - 1)  # `a` and `b` are (1000, 24) in float32
    with pytest.raises(DataError, match="`a` takes 96.0 kB"):
        session.check_fits(model)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_one_thread_watches_all_runs_and_those_of_a_fork() -> None:
    """A run is asked to end when its time is up, another that began later is not."""
    import os
    import threading
    import time

    import onnxruntime

    from qtnc.calibrate.watchdog import Watchdog

    def ends(dog: Watchdog) -> bool:
        short, long = onnxruntime.RunOptions(), onnxruntime.RunOptions()
        with dog.over(long, 600.0), dog.over(short, 0.0):
            end = time.monotonic() + 30.0
            while not short.terminate and time.monotonic() < end:
                time.sleep(0.01)
            return bool(short.terminate and not long.terminate)

    dog, before = Watchdog(), threading.active_count()
    assert [ends(dog) for _ in range(3)] == [True] * 3
    assert threading.active_count() == before + 1
    process = os.fork()
    if not process:
        os._exit(0 if ends(dog) else 1)
    assert os.waitpid(process, 0)[1] == 0
