"""Files that are not models, or no longer: one clear error, whatever is in them."""

import os
import random
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
from google.protobuf import struct_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
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


def mutated_bytes(whole: bytes, rng: random.Random) -> bytes:
    data = bytearray(whole)
    for _ in range(rng.choice([1, 2, 5, 20])):
        at = rng.randrange(len(data))
        match rng.randrange(5):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                del data[at : at + rng.randrange(1, 20)]
            case 2:
                data[at:at] = rng.randbytes(rng.randrange(1, 9))
            case 3:
                start = rng.randrange(len(data))
                data[at : at + 16] = data[start : start + 16]
            case 4:
                data[at:at] = b"\xff" * 8 + b"\x7f"  # a varint near 2**63
    return bytes(data)


NUMBERS = [0, 1, -1, 2, 3, 1000, 2**31 - 1, -(2**31), 2**40, 10**18, 2**63 - 1, -(2**63)]
WORDS = ["", "x", "y", "a", "MatMul", "If", "Loop", "Constant", "Gather", "a\0b", "../up", "ai.onnx", "to", "\u202e"]


def any_value(field: FieldDescriptor, rng: random.Random) -> object:
    match field.type:
        case FieldDescriptor.TYPE_STRING:
            return rng.choice(WORDS)
        case FieldDescriptor.TYPE_BYTES:
            return rng.randbytes(rng.randrange(12))
        case FieldDescriptor.TYPE_FLOAT | FieldDescriptor.TYPE_DOUBLE:
            return rng.choice([0.0, -1.0, float("nan"), float("inf"), 1e30])
        case FieldDescriptor.TYPE_ENUM:
            return rng.choice([v.number for v in field.enum_type.values])
        case _:
            low = -(2**31) if field.type == FieldDescriptor.TYPE_INT32 else -(2**63)
            high = 2**31 - 1 if field.type == FieldDescriptor.TYPE_INT32 else 2**63 - 1
            number = rng.choice(NUMBERS)
            number = abs(number) if field.type == FieldDescriptor.TYPE_UINT64 else number
            return min(max(number, low), high)


def messages(message: Message) -> list[Message]:
    found = [message]
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for inner in value if field.is_repeated else [value]:
                found += messages(inner)
    return found


def mutated_message(whole: bytes, rng: random.Random) -> bytes:
    """Fields set, copied, moved and dropped: still protobuf, so that it comes further than noise does."""
    model = onnx.ModelProto.FromString(whole)
    for _ in range(rng.choice([1, 1, 2, 4, 10])):
        parts = messages(model)
        message = rng.choice(parts)
        field = rng.choice([f for f, _ in message.ListFields()] or list(message.DESCRIPTOR.fields))
        likes = [p for p in parts if p.DESCRIPTOR is field.message_type]
        if field.is_repeated:
            values = getattr(message, field.name)
            if values and rng.random() < 0.4:
                del values[rng.randrange(len(values))]
            elif likes:
                values.add().ParseFromString(rng.choice(likes).SerializeToString())
            elif field.type != FieldDescriptor.TYPE_MESSAGE:
                values.append(any_value(field, rng))
        elif rng.random() < 0.2 or (field.type == FieldDescriptor.TYPE_MESSAGE and not likes):
            message.ClearField(field.name)
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            other = rng.choice(likes).SerializeToString()
            getattr(message, field.name).ParseFromString(other)
        else:
            setattr(message, field.name, any_value(field, rng))
    return model.SerializeToString()


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


def sweep(whole: bytes, seeds: range, folder: Path) -> None:
    for seed in seeds:
        for mutate in (mutated_bytes, mutated_message):
            path = folder / f"{mutate.__name__}-{seed}.onnx"
            path.write_bytes(mutate(whole, seeded(seed)))
            found = outcome(path)
            assert found in (0, 1), f"{mutate.__name__}, seed {seed}: {found}"
            path.unlink()


# Forking warns where threads run; the child only reads.
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_mutated_models_are_read_or_refused(tmp_path: Path, toys: ModuleType) -> None:
    sweep(toys.mlp().SerializeToString(), range(60), tmp_path)
    sweep(toys.branching().SerializeToString(), range(60), tmp_path)
    sweep(toys.old().SerializeToString(), range(30), tmp_path)


@pytest.mark.conformance
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("exporter", ["dynamo", "legacy"])
def test_mutated_exports_are_read_or_refused(exporter: str, tmp_path: Path, exported: Callable[[str], Path]) -> None:
    sweep(exported(exporter).read_bytes(), range(500), tmp_path)
