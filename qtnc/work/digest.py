"""What a unit's outcome depends on, as one hash: its fields, the code that works on them, the libraries beneath."""

import hashlib
import platform
import struct
import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import scipy.linalg  # noqa: F401 - its kernels are asked about below
from threadpoolctl import threadpool_info

LIBRARIES = ("numpy", "scipy", "torch")
"""What computes; another version may round differently."""


class _Hash(Protocol):
    def update(self, data: Any, /) -> None: ...


def digest(value: Any) -> str:
    """Hex SHA-256 of a value, its code and the libraries beneath; equal values have equal digests on one machine.

    Parameters
    ----------
    value : numbers, text, None, arrays, and tuples, lists, mappings and dataclasses of these.

    Raises
    ------
    TypeError
        If it holds anything else: what is not told apart must not be taken for the same.
    """
    found = hashlib.sha256(_ground().encode())
    _add(found, value)
    return found.hexdigest()


def _add(found: _Hash, value: Any) -> None:
    """Add a value; every kind has a letter and a length, so that no two values read alike."""
    if value is None or isinstance(value, bool | int | float | str):
        text = (value.hex() if isinstance(value, float) else str(value)).encode()
        _mark(found, type(value).__name__, len(text))
        found.update(text)
    elif isinstance(value, np.ndarray):
        _mark(found, f"array {value.dtype.str} {value.dtype.name}", *value.shape)
        found.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8))
    elif isinstance(value, tuple | list):
        _mark(found, "row", len(value))
        for item in value:
            _add(found, item)
    elif isinstance(value, Mapping):
        _add(found, sorted(value.items()))
    elif is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        _add(found, (f"{kind.__module__}.{kind.__qualname__}", code_of(kind.__module__)))
        for part in fields(value):
            _add(found, (part.name, getattr(value, part.name)))
    else:
        raise TypeError(f"a {type(value).__name__} has no digest")


def _mark(found: _Hash, kind: str, *sizes: int) -> None:
    found.update(kind.encode() + b"\0" + struct.pack(f"<{1 + len(sizes)}Q", len(sizes), *sizes))


@cache
def _ground() -> str:
    """Versions of the libraries and kernels of this machine: what is computed elsewhere may differ in a last bit."""
    kernels = sorted({str(library["architecture"]) for library in threadpool_info() if "architecture" in library})
    return " ".join([*(f"{name} {version(name)}" for name in LIBRARIES), platform.machine(), sys.version, *kernels])


def code_of(module: str) -> str:
    """Hash of the source of the top-level package that a module belongs to: any change of it makes new outcomes."""
    return _source_hash(module.partition(".")[0])


@cache
def _source_hash(package: str) -> str:
    found = hashlib.sha256()
    for path in _sources(package):
        found.update(path.read_bytes())
    return found.hexdigest()


def _sources(package: str) -> Iterable[Path]:
    file = getattr(sys.modules[package], "__file__", None)
    if file is None:  # a namespace, whose parts may come from several distributions
        parts = getattr(sys.modules[package], "__path__", ())
        return sorted(path for part in parts for path in Path(part).rglob("*.py"))
    path = Path(file)
    return sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else [path]
