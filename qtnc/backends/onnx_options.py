"""What a spec may say of ONNX files that come out."""

from dataclasses import dataclass

from qtnc.backends.releases import RELEASES, Release, minor, oldest_loading, unknown_release
from qtnc.structures.options import option

OPSETS = range(13, 26)
"""Opsets in which a model can be written."""


def refused_opset(opset: int) -> str | None:
    """Say why an opset cannot be written, or None where it can."""
    return None if opset in OPSETS else f"is not one of the opsets {OPSETS[0]} to {OPSETS[-1]}"


@dataclass(frozen=True)
class OnnxOptions:
    """Versions of the format, and the element type."""

    opset: int | None = option("count", None, "opset of the standard operators, 13 to 25", refuse=refused_opset)
    min_ort: str | None = option(
        "text", None, 'oldest onnxruntime that loads the file, as in "1.17"', refuse=unknown_release
    )
    dtype: str | None = option("word", None, "element type of weights and arithmetic", ("float16",))

    @property
    def release(self) -> Release | None:
        """What ``min_ort`` loads."""
        return None if self.min_ort is None else RELEASES[minor(self.min_ort)]

    def check(self) -> str | None:
        """Say where the two versions contradict each other."""
        if self.release is None or self.opset is None or self.opset <= self.release.opset:
            return None
        oldest = oldest_loading(self.opset)
        return f"onnxruntime {self.min_ort} loads opsets up to {self.release.opset}, and {oldest} is the first for more"
