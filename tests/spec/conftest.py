"""A small language to test with: three structures and three backends, whose options are of every kind."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from qtnc.backends.onnx_options import OnnxOptions
from qtnc.backends.options import TorchOptions
from qtnc.errors import SpecError
from qtnc.source import Source
from qtnc.spec.program import Spec
from qtnc.spec.read import read_source
from qtnc.structures.options import Sites, option


@dataclass(frozen=True)
class Thin:
    name: ClassVar[str] = "lowrank"

    rank: int | None = option("count", None, "number of columns")
    bytes: float | None = option("fraction", None, "largest share of the bytes")
    error: float | None = option("fraction", None, "largest error")

    def check(self) -> str | None:
        return "`rank` and `error` contradict each other" if self.rank and self.error else None


@dataclass(frozen=True)
class Chain:
    name: ClassVar[str] = "mpo"

    sites: Literal["auto"] | int | Sites = option("sites", "auto", "shape of the chain")
    max_bond: int | None = option("count", None, "largest bond")
    cutoff: float | None = option("number", None, "singular values below this share are dropped")
    bytes: float | None = option("fraction", None, "largest share of the bytes")
    start: str = option("word", "exact", "where the sweeps start", ("exact", "random"))


@dataclass(frozen=True)
class Around:
    name: ClassVar[str] = "circuit"
    wraps: ClassVar[bool] = True

    depth: int = option("count", 4, "layers of gates")
    layout: str = option("word", "brickwall", "which qubits gates join", ("brickwall", "cross"))
    inner: Any = None

    def check(self) -> str | None:
        return "circuits surround no circuits" if isinstance(self.inner, Around) else None


@dataclass(frozen=True)
class Device:
    selects: ClassVar[bool] = True

    target: str = option("text", "line-5q", "the device")
    shots: int | None = option("count", None, "how often it is measured")

    def check(self) -> str | None:
        return "a simulator has no `shots`" if self.target == "exact" and self.shots else None


STRUCTURES = {"lowrank": Thin, "mpo": Chain, "circuit": Around}
BACKENDS = {"torch": TorchOptions, "onnx": OnnxOptions, "qiskit": Device}


@pytest.fixture
def read() -> Callable[[str], Spec]:
    """A spec from a text."""
    return lambda text: read_source(Source("spec.qtn", text), STRUCTURES, BACKENDS, Path("/models"))


@pytest.fixture
def said() -> Callable[[str], list[str]]:
    """What is wrong with a text: ``line:column message`` of each diagnostic."""

    def errors(text: str) -> list[str]:
        try:
            read_source(Source("spec.qtn", text), STRUCTURES, BACKENDS, Path("/models"))
        except SpecError as error:
            return [f"{d.span.line}:{d.span.column} {d.message}" if d.span else d.message for d in error.diagnostics]
        return []

    return errors
