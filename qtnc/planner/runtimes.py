"""What a model will run in, as far as a spec tells."""

from typing import Final

from qtnc.spec.program import Spec

ONNXRUNTIME: Final = "onnxruntime"
TORCH: Final = "torch"
RUNTIMES: Final = (ONNXRUNTIME, TORCH)


def runtimes_of(spec: Spec) -> tuple[str, ...]:
    """Runtimes of the forms that the spec emits; onnxruntime where it emits no model."""
    emitted = {emit.backend for emit in spec.emits}
    homes = {ONNXRUNTIME: "onnx", TORCH: "torch"}
    return tuple(runtime for runtime in RUNTIMES if homes[runtime] in emitted) or (ONNXRUNTIME,)


def folded(spec: Spec) -> bool:
    """Whether what hangs on weights alone costs a call nothing: onnxruntime computes it once, when it opens a model.

    Torch code trains, so it computes that in every call; one order serves both.
    """
    return TORCH not in runtimes_of(spec)
