"""What a compile would refuse at its end, said before anything is fitted."""

from typing import Final

import onnx_ir as ir

from qtnc.backends.foreign import foreign
from qtnc.spec.program import Spec

WRITE_GRAPHS: Final = frozenset({"onnx", "torch"})
"""Backends that write all of a model, not circuits alone."""


def foreseen(model: ir.Model, spec: Spec) -> tuple[str, ...]:
    """Notes on what the backends of a spec cannot write of a prepared model, unless a later pass puts it right."""
    if WRITE_GRAPHS.isdisjoint(emit.backend for emit in spec.emits):
        return ()
    return tuple(f"{refused.message}: {refused.help}" for refused in foreign(model))
