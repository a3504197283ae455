"""What each backend may be told by `emit`: its options, as fields made by ``option``, and ``check()`` where they clash.

A backend that writes layers rather than the model says so by ``selects``; the spec may then name them, after `for`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from qtnc.backends.onnx_options import OnnxOptions
from qtnc.backends.qiskit.options import QiskitOptions
from qtnc.structures.options import option


@dataclass(frozen=True)
class TorchOptions:
    """The element type."""

    dtype: str | None = option("word", None, "element type of weights and arithmetic", ("float16",))


BACKENDS: Mapping[str, type[Any]] = MappingProxyType(
    {"torch": TorchOptions, "onnx": OnnxOptions, "qiskit": QiskitOptions}
)
"""The backends that ship, by the word the language has for them."""
