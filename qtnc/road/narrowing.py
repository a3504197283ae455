"""The pass that a backend's ``dtype`` asks for, between the rewriting and what the backend does."""

from qtnc.passes.to_float16 import ToFloat16
from qtnc.pipeline import Pass


def narrowing(dtype: str | None) -> tuple[Pass, ...]:
    """Passes that bring a model into an element type; none where it stays as it is."""
    return (ToFloat16(),) if dtype == "float16" else ()
