"""What no single statement shows: that something comes out, and can be verified."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from qtnc.errors import Diagnostic
from qtnc.spec import program, tree
from qtnc.spec.values import listing


def nothing_emitted(spec: tree.SpecTree, backends: Mapping[str, type[Any]]) -> Iterator[Diagnostic]:
    """Say that nothing is written, unless that was lost, or the spec said to be empty."""
    if spec.statements and not spec.lost and not any(isinstance(s, tree.Emit) for s in spec.statements):
        forms = listing([f"emit {backend}" for backend in sorted(backends)], "or")
        yield Diagnostic("the spec emits nothing", None, f"add {forms}", spec.source.name)


def nothing_to_verify(
    spec: tree.SpecTree,
    backends: Mapping[str, type[Any]],
    emits: Collection[program.Emit],
    verifies: Collection[program.Verify],
) -> Iterator[Diagnostic]:
    """Say that there is no model to verify, where all that is written is about layers."""
    if emits and not spec.lost and all(getattr(emit.options, "selects", False) for emit in emits):
        models = [word for word, kind in backends.items() if not getattr(kind, "selects", False)]
        forms = listing([f"emit {word}" for word in models], "or")
        for verify in verifies:
            message = "there is no model to verify: the spec emits layers only"
            yield Diagnostic(message, verify.span, f"add {forms}", spec.source.name)
