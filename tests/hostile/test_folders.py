"""Compiled folders that somebody changed: refused with one error, nothing read or written outside."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

SPEC = """qtn 1
optimize memory
select all = MatMul
rewrite all -> circuit(depth: 1) | mpo(sites: 2, max_bond: 2)
emit torch
emit onnx
emit qiskit
"""

CHECK = {"tolerance": None, "data": None, "path": None, "take": None, "sha256": None}

TEXTS = {
    "empty": "",
    "deep lists": "[" * 100_000,
    "deep tables": '{"a":' * 100_000,
    "a long number": '{"format": ' + "1" * 100_000 + "}",
    "nan": '{"format": NaN}',
    "not a table": "1",
    "nul": "\0",
    "another format": '{"format": 2}',
}

CHANGES: dict[str, tuple[tuple[str, ...], Any]] = {
    "file above": (("files", "../../spec.qtn"), "0"),
    "file absolute": (("files", "/etc/passwd"), "0"),
    "file with nul": (("files", "a\0b"), "0"),
    "file with half a pair": (("files", "\ud800"), "0"),
    "long file": (("files", "x" * 5000), "0"),
    "long path": (("files", "x/" * 5000), "0"),
    "terminal": (("files", "\x1b[31m"), "0"),
    "model with nul": (("model", "path"), "a\0b"),
    "long model": (("model", "path"), "x" * 10_000),
    "model elsewhere": (("model", "path"), "../../box-secret/key"),
    "model is a number": (("model", "path"), 1),
    "unknown backend": (("backends",), ["../../evil"]),
    "files not listed": (("files",), {}),
    "huge size": (("binds",), {"batch": 10**30}),
    "size below one": (("binds",), {"batch": -3}),
    "no size": (("binds",), {"batch": True}),
    "tolerance": (("checks",), [CHECK | {"tolerance": float("nan")}]),
    "data with nul": (("checks",), [CHECK | {"data": "d", "path": "a\0b"}]),
    "data elsewhere": (("checks",), [CHECK | {"data": "d", "path": "../../box-secret/key"}]),
    "take": (("checks",), [CHECK | {"data": "d", "path": "d", "take": -1}]),
    "empty check": (("checks",), [{}]),
    "many checks": (("checks",), [CHECK] * 100_000),
}

CIRCUITS: dict[str, tuple[tuple[str, ...], Any]] = {
    "features": (("features",), [10**18, 10**18]),
    "qubits": (("input", "qubits"), 64),
    "pairs": (("input", "pairs"), [[10**30, 1]]),
    "many pairs": (("input", "pairs"), [[0, 1]] * 20_000),
    "mode sizes": (("inner", "mode_sizes"), [10**400] * 9),
    "equation": (("inner", "equation"), "a" * 100_000),
    "file": (("file",), "../../../etc/passwd"),
    "file with nul": (("file",), "a\0b.py"),
}

Place = Callable[[], tuple[Any, Path]]


@pytest.fixture(scope="module")
def made(server: Any, tmp_path_factory: pytest.TempPathFactory, toys: ModuleType, hostile: Any) -> Any:
    """A sandbox with a compiled folder, and what its files hold."""
    sandbox = hostile.Sandbox(server, tmp_path_factory.mktemp("folders") / "box")
    toys.write(toys.mlp(), sandbox.work / "model.onnx")
    (sandbox.work / "spec.qtn").write_text(SPEC)
    np.savez(sandbox.work / "rows.npz", up=np.ones((1, 16)), down=np.ones((1, 24)))
    assert sandbox.run("compile", "model.onnx", "spec.qtn", "-o", "out").code == 0
    return sandbox, {path: path.read_bytes() for path in (sandbox.work / "out").rglob("*") if path.is_file()}


@pytest.fixture
def folder(made: Any) -> Any:
    """The folder as it was compiled."""
    sandbox, content = made
    for path, held in content.items():
        path.write_bytes(held)
    return sandbox, sandbox.work / "out"


def changed(text: str, keys: tuple[str, ...], value: Any) -> str:
    content = json.loads(text)
    inner = content["layers"][0] if "layers" in content else content
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    return json.dumps(content)


def replace(out: Path, name: str, content: bytes) -> None:
    """Change a file, and its hash in the manifest as well."""
    (out / name).write_bytes(content)
    manifest = (out / "manifest.json").read_text()
    files = json.loads(manifest)["files"] | {name: hashlib.sha256(content).hexdigest()}
    (out / "manifest.json").write_text(changed(manifest, ("files",), files))


def refused(sandbox: Any, *command: str) -> None:
    done = sandbox.run(*command)
    assert done.code in (1, 3)  # the folder is not whole, or what it holds does not run
    assert done.errors
    assert max(map(len, done.errors)) < 500
    assert "secret" * 8 not in done.err


@pytest.mark.parametrize("kind", TEXTS)
def test_manifests_that_are_none(kind: str, folder: Any) -> None:
    sandbox, out = folder
    (out / "manifest.json").write_text(TEXTS[kind])
    refused(sandbox, "verify", "out")
    refused(sandbox, "run", "out", "--input", "rows.npz", "--shots", "16")


@pytest.mark.parametrize("kind", CHANGES)
def test_manifests_that_were_changed(kind: str, folder: Any) -> None:
    sandbox, out = folder
    (out / "manifest.json").write_text(changed((out / "manifest.json").read_text(), *CHANGES[kind]))
    refused(sandbox, "verify", "out")


@pytest.mark.parametrize("kind", TEXTS)
def test_resources_that_are_none(kind: str, folder: Any) -> None:
    sandbox, out = folder
    replace(out, "qiskit/resources.json", TEXTS[kind].encode())
    refused(sandbox, "run", "out", "--input", "rows.npz", "--shots", "16")


@pytest.mark.parametrize("kind", CIRCUITS)
def test_resources_that_were_changed(kind: str, folder: Any) -> None:
    sandbox, out = folder
    name = "qiskit/resources.json"
    replace(out, name, changed((out / name).read_text(), *CIRCUITS[kind]).encode())
    refused(sandbox, "run", "out", "--input", "rows.npz", "--shots", "16")


def header(text: str) -> bytes:
    return len(text).to_bytes(8, "little") + text.encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 64,
        header('{"a":' * 10_000),
        header('{"up_core_0":{"dtype":"F32","shape":[1000000000,1000000000],"data_offsets":[0,4]}}') + bytes(4),
    ],
    ids=["empty", "huge header", "deep header", "claim"],
)
def test_weights_that_were_changed(content: bytes, folder: Any) -> None:
    sandbox, out = folder
    (out / "torch" / "model.safetensors").write_bytes(content)
    refused(sandbox, "verify", "out")  # by the hash
    replace(out, "torch/model.safetensors", content)
    refused(sandbox, "verify", "out")  # by what it is


@pytest.mark.parametrize("name", ["onnx/model.onnx", "torch/model.py", "torch/model.safetensors"])
def test_files_of_another_kind(name: str, folder: Any) -> None:
    sandbox, out = folder
    replace(out, name, b"\x89PNG\r\n\x1a\n")
    refused(sandbox, "verify", "out")
    (out / name).unlink()
    (out / name).symlink_to(sandbox.secret / "key")
    refused(sandbox, "verify", "out")
    (out / name).unlink()
