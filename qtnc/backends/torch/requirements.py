"""What the emitted code needs installed: the oldest torch and safetensors that have what it calls.

The bounds of torch are those of its release notes, by what stands in the code; those of safetensors were found by
loading files of every dtype in older releases.
"""

from collections.abc import Mapping
from types import MappingProxyType

TORCH: Mapping[str, str] = MappingProxyType(
    {
        "assign=True": "2.1",
        "torch.float8_": "2.1",
        "torch.float16": "2.3",  # products of half precision on every processor
        "torch.uint16": "2.3",
        "torch.uint32": "2.3",
        "torch.uint64": "2.3",
        "F.rms_norm": "2.4",
        "enable_gqa": "2.5",
    }
)
"""The first torch that has each of these."""

SAFETENSORS: Mapping[str, str] = MappingProxyType({"load_file": "0.3", "torch.float8_": "0.4.3"})
"""The first safetensors that reads each of these."""


def requirements(code: str) -> str:
    """The text of ``requirements.txt`` for the text of ``model.py``."""
    return f"torch>={_newest(TORCH, code)}\nsafetensors>={_newest(SAFETENSORS, code)}\n"


def _newest(since: Mapping[str, str], code: str) -> str:
    found = (version for word, version in since.items() if word in code)
    return max(found, key=lambda version: tuple(map(int, version.split("."))))
