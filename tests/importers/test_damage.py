"""Files that are not models, or no longer: one clear error, whatever is in them."""

import os
import random
import resource
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from google.protobuf import struct_pb2
from safetensors.numpy import save_file

from qtnc.compiler import prepare
from qtnc.errors import InternalError, QtncError
from qtnc.importers.onnx import read_model
from qtnc.ir.layers import find_layers

SECONDS = 60
MEMORY = 1 << 30
"""Bytes that reading a file of a few kilobytes may take at most."""


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - damage to repeat, not to keep secret


FOREIGN = {
    "empty": b"",
    "text": b"qtn 1\nselect all = MatMul\n",
    "zeros": bytes(4096),
    "noise": seeded(0).randbytes(4096),
    "png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(64),
    "zip": b"PK\x03\x04" + bytes(64),
    "json": b'{"graph": {"node": []}}',
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_another_format(kind: str, tmp_path: Path, refused: Callable[[Path], str], qtnc: Callable[..., Any]) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(FOREIGN[kind])
    assert "not an ONNX model" in refused(path) or kind == "empty"
    done = qtnc("inspect", path)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"{path}: error: ")


def test_other_protobufs_and_safetensors(tmp_path: Path, refused: Callable[[Path], str]) -> None:
    path = tmp_path / "model.onnx"
    other = struct_pb2.Struct()
    other.update({"graph": {"node": [1, 2, 3]}})
    path.write_bytes(other.SerializeToString())
    assert "not an ONNX model" in refused(path)
    save_file({"w": np.ones((3, 3), np.float32)}, path)
    assert "not an ONNX model" in refused(path)


def test_no_file(tmp_path: Path, refused: Callable[[Path], str]) -> None:
    assert "no such file" in refused(tmp_path / "absent.onnx")
    assert "not a file" in refused(tmp_path)
    assert "File name too long" in refused(tmp_path / ("x" * 5000))
    assert "no such file" in refused(tmp_path / "a\0b")
    os.mkfifo(tmp_path / "pipe")
    assert "not a file" in refused(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    assert refused(tmp_path / "loop")


def test_beyond_what_protobuf_holds(tmp_path: Path, refused: Callable[[Path], str]) -> None:
    path = tmp_path / "model.onnx"
    with path.open("wb") as file:
        file.truncate(1 << 31)  # sparse: takes no disk, and is not read
    assert "2 GiB" in refused(path)


def test_cut_off_anywhere(tmp_path: Path, toys: ModuleType) -> None:
    whole = toys.mlp().SerializeToString()
    path = tmp_path / "model.onnx"
    for length in {*range(0, len(whole), 37), *range(len(whole) - 20, len(whole))}:
        path.write_bytes(whole[:length])
        said = ""
        try:
            read_model(path)
        except QtncError as error:
            said = str(error)
        assert not said or said.startswith(f"{path}: error: ")


CLAIMS = [(10**9, 10**9), (2**62, 4), (2**63 - 1,), (-1, 4), (2, 2), (16, 25)]


@pytest.mark.parametrize("dims", CLAIMS, ids=str)
def test_a_tensor_that_claims_another_size(
    dims: tuple[int, ...], tmp_path: Path, toys: ModuleType, refused: Callable[[Path], str]
) -> None:
    model = toys.mlp()
    model.graph.initializer[0].dims[:] = dims
    assert "up.weight" in refused(toys.write(model, tmp_path / "model.onnx"))


def test_types_that_are_none(tmp_path: Path, toys: ModuleType, refused: Callable[[Path], str]) -> None:
    model = toys.mlp()
    model.graph.initializer[0].data_type = 99
    assert "tensor 'up.weight': ONNX has no data type 99" in refused(toys.write(model, tmp_path / "model.onnx"))


def test_names_that_are_not_text(tmp_path: Path, toys: ModuleType, refused: Callable[[Path], str]) -> None:
    path = toys.write(toys.mlp(), tmp_path / "model.onnx")
    path.write_bytes(path.read_bytes().replace(b"up.weight", b"\xff\xfe\x80\x81.aight"[:9]))
    assert refused(path)


def outcome(path: Path) -> int:
    """Read a file in a process of its own: 0 read, 1 refused, 2 anything else, negative for a signal."""
    process = os.fork()
    if not process:
        code = 2
        try:
            signal.alarm(SECONDS)
            limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + MEMORY
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
            find_layers(prepare(read_model(path)))
            code = 0
        except InternalError:
            code = 2
        except QtncError:
            code = 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def sweep(whole: bytes, seeds: range, folder: Path, mutators: Iterable[Callable[..., bytes]]) -> None:
    for seed in seeds:
        for mutate in mutators:
            path = folder / f"{mutate.__name__}-{seed}.onnx"
            path.write_bytes(mutate(whole, seeded(seed)))
            found = outcome(path)
            assert found in (0, 1), f"{mutate.__name__}, seed {seed}: {found}"
            path.unlink()


# Forking warns where threads run; the child only reads.
@pytest.mark.conformance
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("exporter", ["dynamo", "legacy"])
def test_mutated_exports_are_read_or_refused(
    exporter: str, tmp_path: Path, exported: Callable[[str], Path], mutate: ModuleType
) -> None:
    sweep(exported(exporter).read_bytes(), range(500), tmp_path, mutate.MUTATORS.values())
