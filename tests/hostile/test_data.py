"""Data files that claim more than they hold, hold more than they show, or hold code."""

import zipfile
from types import ModuleType
from typing import Any

import numpy as np
import pytest

SPEC = """qtn 1
data d = npz("d.npz")
select all = MatMul
rewrite all -> lowrank(rank: 2) on d
emit onnx
"""


class Planted:
    """Writes a file where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, ("planted", "w"))


def npy(shape: str, dtype: str = "'<f4'", more: str = "", version: tuple[int, int] = (1, 0)) -> bytes:
    header = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, {more}}}".encode()
    size = len(header).to_bytes(2 if version == (1, 0) else 4, "little")
    return b"\x93NUMPY" + bytes(version) + size + header


HEADERS = {
    "1e18 rows": npy("(1000000000000000000, 16)"),
    "1e10 rows": npy("(10000000000, 16)"),
    "overflow": npy("(4611686018427387904, 16)"),
    "negative": npy("(-4, 16)"),
    "long header": npy("(4, 16)", more="'a': '" + "x" * 10**6 + "'", version=(2, 0)),
    "deep header": npy("(4, 16)", more="'a': " + "(" * 4000 + ")" * 4000),
    "code": npy("__import__('os').system('touch planted')"),
    "objects": npy("(4, 16)", "'|O'"),
    "records": npy("(4, 16)", "[('a', '<f4'), ('b', '|O')]"),
    "huge texts": npy("(4, 16)", "'<U500000000'"),
    "another version": npy("(4, 16)", version=(9, 9)),
}


@pytest.fixture
def box(sandbox: Any, toys: ModuleType) -> Any:
    toys.write(toys.mlp(), sandbox.work / "model.onnx")
    (sandbox.work / "spec.qtn").write_text(SPEC)
    return sandbox


def refused(box: Any, *words: str) -> None:
    done = box.run("plan", "model.onnx", "spec.qtn", memory=512 << 20)
    assert done.code == 1
    (error,) = done.errors
    assert error.startswith("spec.qtn:2:1: error: data `d`: ")
    assert all(word in error for word in words), error
    assert len(done.err) < 1500
    assert not (box.work / "planted").exists()


@pytest.mark.parametrize("kind", HEADERS)
def test_headers(kind: str, box: Any) -> None:
    with zipfile.ZipFile(box.work / "d.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", HEADERS[kind] + bytes(1000))
    refused(box)


@pytest.mark.parametrize(("shape", "word"), [("(10000000000, 16)", "640.0 GB"), ("(16777216, 256)", "size 256")])
def test_a_small_file_that_unpacks_to_a_large_one(shape: str, word: str, box: Any) -> None:
    with (
        zipfile.ZipFile(box.work / "d.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w", force_zip64=True) as member,
    ):
        member.write(npy(shape))
        for _ in range(64):
            member.write(bytes(1 << 24))
    assert (box.work / "d.npz").stat().st_size < 2 << 20
    refused(box, "`x`", word)


def test_pickles(box: Any) -> None:
    np.savez(box.work / "d.npz", x=np.array([Planted()], dtype=object))
    refused(box, "object")


def test_many_arrays_of_any_name(box: Any) -> None:
    with zipfile.ZipFile(box.work / "d.npz", "w") as archive:
        for name in ("\x1b[31m", "y" * 10_000, "../../up", *map(str, range(10_000))):
            archive.writestr(f"{name}.npy", b"")
    refused(box, "no array for the graph input `x`")


def test_what_is_not_asked_for_is_not_read(box: Any) -> None:
    with zipfile.ZipFile(box.work / "d.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("other.npy", npy("(1000000000000, 16)"))
        with archive.open("x.npy", "w") as member:
            np.lib.format.write_array(member, np.asfortranarray(np.ones((4, 16), np.float32)))
    assert box.run("plan", "model.onnx", "spec.qtn").code == 0
