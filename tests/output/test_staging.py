"""OUT is absent, as it was, or whole; nothing is left beside it."""

import errno
import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qtnc.errors import OutputError
from qtnc.output import staging
from qtnc.output.staging import check_apart, check_free, staged


def fill(folder: Path, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "file").write_text(text)
    (folder / "inner").mkdir(exist_ok=True)
    (folder / "inner" / "file").write_text(text)


def content(folder: Path) -> set[str]:
    return {path.read_text() for path in folder.rglob("file")}


def write(out: Path, text: str, *, force: bool = False) -> None:
    with staged(out, force=force) as folder:
        fill(folder, text)


def fail(error: BaseException, out: Path, *, force: bool) -> None:
    with staged(out, force=force) as folder:
        fill(folder, "new")
        raise error


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "home" / "out"


@pytest.fixture(params=["exchange", "two renames"])
def swap(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to replace a full folder."""
    if request.param == "two renames":
        monkeypatch.setattr(staging, "_exchange", lambda folder, target: False)


def test_out_appears_whole_at_the_end(out: Path) -> None:
    with staged(out) as folder:
        fill(folder, "new")
        assert not out.exists()
        assert folder.parent == out.parent
    assert content(out) == {"new"}
    assert os.listdir(out.parent) == ["out"]
    other = out.parent / "other"
    other.mkdir()
    assert out.stat().st_mode == other.stat().st_mode


def test_an_empty_folder_is_taken(out: Path) -> None:
    out.mkdir(parents=True)
    write(out, "new")
    assert content(out) == {"new"}


def test_a_full_folder_needs_force(out: Path) -> None:
    write(out, "old")
    with pytest.raises(OutputError, match="not empty"):
        write(out, "new")
    assert content(out) == {"old"}
    assert os.listdir(out.parent) == ["out"]


@pytest.mark.usefixtures("swap")
def test_force_keeps_the_old_until_the_new_is_whole(out: Path) -> None:
    write(out, "old")
    with staged(out, force=True) as folder:
        fill(folder, "new")
        assert content(out) == {"old"}
    assert content(out) == {"new"}
    assert os.listdir(out.parent) == ["out"]


@pytest.mark.usefixtures("swap")
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, MemoryError])
def test_a_failure_leaves_what_was(error: type[BaseException], out: Path) -> None:
    with pytest.raises(error):
        fail(error(), out, force=False)
    assert os.listdir(out.parent) == []
    write(out, "old")
    with pytest.raises(error):
        fail(error(), out, force=True)
    assert content(out) == {"old"}
    assert os.listdir(out.parent) == ["out"]


@pytest.mark.parametrize("kind", ["file", "link", "dangling link"])
def test_what_is_no_folder_is_refused(kind: str, out: Path) -> None:
    out.parent.mkdir()
    elsewhere = out.parent / "elsewhere"
    if kind == "file":
        out.write_text("mine")
    elif kind == "link":
        elsewhere.mkdir()
        out.symlink_to(elsewhere)
    else:
        out.symlink_to(elsewhere)
    for force in (False, True):
        with pytest.raises(OutputError, match="exists and is not a folder"):
            write(out, "new", force=force)


@pytest.mark.parametrize("name", ["x" * 300, "file/out"])
def test_paths_that_cannot_be(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="cannot be written"):
        write(tmp_path / name, "new")


def test_an_unwritable_parent(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "mkdir", refuse)  # tests may run as root, whom no mode stops
    with pytest.raises(OutputError, match="cannot be written: Permission denied"):
        write(out, "new")


@pytest.mark.usefixtures("swap")
def test_a_full_disk(out: Path) -> None:
    write(out, "old")
    with pytest.raises(OutputError, match="No space left on device"):
        fail(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), out, force=True)
    assert content(out) == {"old"}
    assert os.listdir(out.parent) == ["out"]


def test_a_swap_that_fails_halfway_is_taken_back(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "_exchange", lambda folder, target: False)
    write(out, "old")
    rename = os.rename

    def fail(source: Any, target: Any) -> None:
        if Path(target) == out and not str(source).endswith("old") and not out.exists():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(OutputError, match="Input/output error"):
        write(out, "new", force=True)
    assert content(out) == {"old"}
    assert os.listdir(out.parent) == ["out"]


def cut_off(out: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """A process that dies before its renames number ``step`` of a swap: whatever it holds stays."""
    rename, done = os.rename, []

    class Killed(BaseException):
        pass

    def die(source: Any, target: Any) -> None:
        if len(done) == step:
            raise Killed
        rename(source, target)
        done.append(target)

    with monkeypatch.context() as patch:
        patch.setattr(staging, "_exchange", lambda folder, target: False)
        patch.setattr(os, "rename", die)
        patch.setattr(staging.shutil, "rmtree", lambda *a, **o: None)
        patch.setattr(Path, "unlink", lambda *a, **o: None)
        # The first rename of a swap is the one that finds the folder full.
        with pytest.raises(Killed):
            write(out, "new", force=True)


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("force", [False, True])
def test_the_next_run_finishes_a_swap_that_was_cut_off(
    step: int, force: bool, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(out, "old")
    cut_off(out, monkeypatch, step)
    assert len(os.listdir(out.parent)) > 1
    assert out.exists() == (step == 0)
    if force:
        write(out, "newer", force=True)
        assert content(out) == {"newer"}
    else:
        with pytest.raises(OutputError, match="not empty"):
            write(out, "newer")
        assert content(out) == {"old"}
    if force or step:
        assert os.listdir(out.parent) == ["out"]


def test_stale_siblings_go_and_others_stay(out: Path) -> None:
    out.parent.mkdir()
    for name in (".out.qtnc-0123abcd", ".out.qtnc-old", ".out.qtnc-old.qtnc-0123abcd", ".output.qtnc-0123abcd"):
        fill(out.parent / name, "stale")
    (out.parent / ".out.qtnc-ffffffff").symlink_to(out.parent)
    (out.parent / ".out.qtnc-lock").touch()
    write(out, "new", force=True)
    assert sorted(os.listdir(out.parent)) == [
        ".out.qtnc-ffffffff",
        ".out.qtnc-old.qtnc-0123abcd",
        ".output.qtnc-0123abcd",
        "out",
    ]


def test_a_second_writer_is_refused(out: Path) -> None:
    with staged(out) as folder:
        fill(folder, "first")
        with pytest.raises(OutputError, match="another process is writing this folder"):
            write(out, "second")
    assert content(out) == {"first"}
    assert os.listdir(out.parent) == ["out"]


def test_many_writers_at_once_leave_one_whole(out: Path) -> None:
    ready = threading.Barrier(8)
    refused: list[str] = []

    def attempt(k: int) -> None:
        ready.wait()
        for _ in range(20):
            try:
                write(out, str(k), force=True)
            except OutputError as error:
                refused.append(str(error))

    threads = [threading.Thread(target=attempt, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all("another process is writing" in message for message in refused)
    assert len(content(out)) == 1
    assert len(list(out.rglob("file"))) == 2
    assert os.listdir(out.parent) == ["out"]


def test_file_systems_without_locks(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(fcntl, "flock", refuse)
    write(out, "new")
    assert content(out) == {"new"}


def test_inputs_are_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "model.onnx"
    model.touch()
    with pytest.raises(OutputError, match=r"model\.onnx: error: lies in the folder to be replaced"):
        check_apart(tmp_path, [model])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="lies in the folder"):
        check_apart(Path("."), [Path("model.onnx")])
    (tmp_path.parent / f"{tmp_path.name}-link").symlink_to(tmp_path)
    with pytest.raises(OutputError, match="lies in the folder"):
        check_apart(tmp_path, [tmp_path.parent / f"{tmp_path.name}-link" / "model.onnx"])
    check_apart(tmp_path / "out", [model])


def test_out_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("out"), "new")
    assert content(tmp_path / "out") == {"new"}
    check_free(Path("out"), force=True)


def test_compile_into_folders_with_force(qtnc: Callable[..., Any], place: Any) -> None:
    arguments = ("compile", place.model, place.spec, "-o", place.out)
    assert qtnc(*arguments).code == 0
    done = qtnc(*arguments)
    assert (done.code, done.out) == (1, "")
    assert "the folder is not empty" in done.err
    assert qtnc(*arguments, "--force").code == 0
    done = qtnc("compile", place.model, place.spec, "-o", place.folder, "--force")
    assert done.code == 1
    assert "model.onnx: error: lies in the folder to be replaced" in done.err
    assert sorted(os.listdir(place.folder)) == ["model.onnx", "out", "spec.qtn"]
