"""The pass that a backend's ``dtype`` asks for, between the rewriting and what the backend does."""

import onnx_ir as ir

from qtnc.passes.to_float16 import ToFloat16
from qtnc.pipeline import Pass, Pipeline


def narrowing(dtype: str | None) -> tuple[Pass, ...]:
    """Passes that bring a model into an element type; none where it stays as it is."""
    return (ToFloat16(),) if dtype == "float16" else ()


def narrowed(model: ir.Model, dtype: str | None) -> ir.Model:
    """A copy of a model in an element type, or the model itself where none is asked for."""
    passes = narrowing(dtype)
    return Pipeline(passes).run(model.clone()).model if passes else model
