"""Data files: what fits is read, and everything else is refused in words that name the data and the array."""

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qtnc.calibrate.data import DataSet, load_npz
from qtnc.errors import DataError

Load = Callable[..., DataSet]


@pytest.fixture
def model(toys: ModuleType) -> ir.Model:
    """Two inputs: ids (batch, seq) in int64 and x (batch, 3) in float32."""
    inputs = [toys.value("ids", ["batch", "seq"], toys.INT64), toys.value("x", ["batch", 3])]
    return ir.from_proto(toys.model([], inputs, [toys.value("x", ["batch", 3])]))


IDS = np.arange(10).reshape(5, 2)
X = np.arange(15, dtype=np.float32).reshape(5, 3)


@pytest.fixture
def load(tmp_path: Path, model: ir.Model) -> Load:
    """Save arrays and read them back for the model."""

    def run(take: int | None = None, /, **arrays: NDArray[Any]) -> DataSet:
        np.savez(tmp_path / "calib.npz", **arrays)
        return load_npz("calib", tmp_path / "calib.npz", take, model)

    return run


def test_arrays_are_read_by_input(load: Load) -> None:
    data = load(ids=IDS, x=X, more=np.zeros(1))
    assert (data.name, data.samples, set(data.arrays)) == ("calib", 5, {"ids", "x"})
    np.testing.assert_array_equal(data.arrays["ids"], IDS)


def test_take_takes_the_first_samples(load: Load) -> None:
    data = load(2, ids=IDS, x=X)
    assert data.samples == 2
    np.testing.assert_array_equal(data.arrays["x"], X[:2])
    assert load(100, ids=IDS, x=X).samples == 5


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
def test_batches_are_the_samples_in_order(load: Load, size: int) -> None:
    feeds = list(load(ids=IDS, x=X).batches(size))
    assert all(1 <= len(feed["x"]) <= size for feed in feeds)
    np.testing.assert_array_equal(np.concatenate([feed["x"] for feed in feeds]), X)
    np.testing.assert_array_equal(np.concatenate([feed["ids"] for feed in feeds]), IDS)


def test_a_fixed_batch_is_kept(tmp_path: Path, toys: ModuleType) -> None:
    model = ir.from_proto(toys.model([], [toys.value("x", [2, 3])], [toys.value("x", [2, 3])]))
    np.savez(tmp_path / "d.npz", x=np.zeros((6, 3), np.float32))
    data = load_npz("d", tmp_path / "d.npz", None, model)
    assert [len(feed["x"]) for feed in data.batches(8)] == [2, 2, 2]
    with pytest.raises(DataError, match="5 samples.*2 at a time"):
        load_npz("d", tmp_path / "d.npz", 5, model)


NAN = np.where(X == 3, np.float32(np.nan), X)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"ids": IDS}, "no array for the graph input `x`"),
        ({"ids": IDS, "X_": X}, "no array for the graph input `x`"),
        ({}, "it has no arrays"),
        ({"ids": IDS, "x": X.astype(np.float64)}, "array `x` is float64, the model takes float32"),
        ({"ids": IDS.astype(np.int32), "x": X}, "array `ids` is int32, the model takes int64"),
        ({"ids": IDS, "x": X[0]}, "array `x` has 1 axes, the model's input has 2"),
        ({"ids": IDS, "x": X[:, :, None]}, "array `x` has 3 axes, the model's input has 2"),
        ({"ids": IDS, "x": X[:, :2]}, "array `x` has size 2 along axis 1, the model takes 3"),
        ({"ids": IDS, "x": X[:4]}, "arrays hold 4, 5 samples; they must agree"),
        ({"ids": IDS[:0], "x": X[:0]}, "arrays hold 0 samples; they must agree and be > 0"),
        ({"ids": IDS, "x": NAN}, "array `x` holds NaN or infinity"),
        ({"ids": IDS, "x": np.full_like(X, np.inf)}, "array `x` holds NaN or infinity"),
        ({"ids": IDS, "x": np.float32(3)}, "array `x` is a single number"),
        ({"ids": IDS, "x": np.array(["a"])}, "array `x` is <U1"),
    ],
)
def test_what_does_not_fit_is_refused(load: Load, arrays: dict[str, NDArray[Any]], says: str) -> None:
    with pytest.raises(DataError) as caught:
        load(**arrays)
    assert says in str(caught.value)
    assert "`calib`" in str(caught.value)


def test_objects_are_never_unpickled(load: Load) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (pytest.fail, ("a pickle was run",))

    with pytest.raises(DataError, match="array `x` is object, the model takes float32"):
        load(ids=IDS, x=np.array([Bomb()], dtype=object))


def test_files_that_are_no_npz(tmp_path: Path, model: ir.Model) -> None:
    def refuse(path: Path, match: str = "not an .npz file of plain arrays") -> None:
        with pytest.raises(DataError, match=match) as caught:
            load_npz("calib", path, None, model)
        assert str(path) in str(caught.value)

    refuse(tmp_path / "missing.npz", "no file")
    refuse(tmp_path, "no file")
    for name, content in {
        "empty.npz": b"",
        "text.npz": b"not a zip",
        "pickle.npz": pickle.dumps([1, 2]),
        "header.npz": b"PK\x03\x04",
    }.items():
        (tmp_path / name).write_bytes(content)
        refuse(tmp_path / name)
    with (tmp_path / "single.npz").open("wb") as file:
        np.save(file, X)
    refuse(tmp_path / "single.npz")
    with zipfile.ZipFile(tmp_path / "members.npz", "w") as archive:
        archive.writestr("ids.npy", b"no array")
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00")
    refuse(tmp_path / "members.npz")
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive:
        header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000, 1000000), }"
        archive.writestr("ids.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    refuse(tmp_path / "huge.npz")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good data, compressed."""
    path = tmp_path_factory.mktemp("data") / "whole.npz"
    np.savez_compressed(path, ids=IDS, x=X)
    return path


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_damaged_file_is_refused_or_read_but_never_a_crash(
    whole: Path, toys: ModuleType, data: st.DataObject
) -> None:
    content = bytearray(whole.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content)))]
    else:
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = whole.with_name("damaged.npz")
    path.write_bytes(bytes(content))
    inputs = [toys.value("ids", ["batch", "seq"], toys.INT64), toys.value("x", ["batch", 3])]
    model = ir.from_proto(toys.model([], inputs, [toys.value("x", ["batch", 3])]))
    said = "`calib`"
    try:
        load_npz("calib", path, None, model)
    except DataError as error:
        said = str(error)
    assert "`calib`" in said
