"""What each release of onnxruntime loads: the newest opset of the standard domain, and the newest ONNX IR version.

From 1.15 on found by loading models in the release itself; before that as its documentation says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from qtnc.errors import did_you_mean


@dataclass(frozen=True)
class Release:
    """The newest that a release of onnxruntime loads."""

    opset: int
    ir_version: int


RELEASES: Mapping[str, Release] = MappingProxyType(
    {
        "1.7": Release(13, 7),
        "1.8": Release(14, 7),
        "1.9": Release(15, 7),
        "1.10": Release(15, 7),
        "1.11": Release(16, 7),
        "1.12": Release(17, 7),
        "1.13": Release(17, 8),
        "1.14": Release(18, 8),
        "1.15": Release(19, 9),
        "1.16": Release(19, 9),
        "1.17": Release(20, 9),
        "1.18": Release(21, 10),
        "1.19": Release(21, 10),
        "1.20": Release(21, 10),
        "1.21": Release(22, 10),
        "1.22": Release(22, 10),
        "1.23": Release(23, 11),
        "1.24": Release(25, 13),
        "1.25": Release(26, 13),
        "1.26": Release(26, 13),
        "1.27": Release(26, 13),
        "1.28": Release(26, 13),
        "1.29": Release(26, 13),
        "1.30": Release(26, 13),
        "1.31": Release(26, 13),
        "1.32": Release(28, 14),
    }
)
"""By release, oldest first."""


def minor(text: str) -> str:
    """``1.17`` of ``1.17.3``; patches load what their release does."""
    return ".".join(text.split(".")[:2]) if text.count(".") == 2 and text.rpartition(".")[2].isdecimal() else text


def unknown_release(text: str) -> str | None:
    """Say that there is no such release of onnxruntime, or None where there is."""
    if minor(text) in RELEASES:
        return None
    first, *_, last = RELEASES
    near = did_you_mean(text, RELEASES) or f'write `"{last}"`, say'
    return f"is no release of onnxruntime from {first} to {last}; {near}"


def oldest_loading(opset: int) -> str:
    """The oldest release that loads an opset."""
    return next(name for name, release in RELEASES.items() if release.opset >= opset)
