"""What no single statement shows: that something comes out, and can be verified."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from qtnc.errors import Diagnostic
from qtnc.spec import program, tree
from qtnc.spec.rules.tree import Rule
from qtnc.spec.values import listing


def nothing_emitted(spec: tree.SpecTree, backends: Mapping[str, type[Any]]) -> Iterator[Diagnostic]:
    """Say that nothing is written, unless that was lost, or the spec said to be empty, or a collection of rules."""
    if not spec.statements or spec.lost or is_collection(spec):
        return
    if not any(isinstance(s, tree.Emit) for s in spec.statements):
        forms = listing([f"emit {backend}" for backend in sorted(backends)], "or")
        yield Diagnostic("the spec emits nothing", None, f"add {forms}", spec.source.name)


def is_collection(spec: tree.SpecTree) -> bool:
    """Whether a spec holds rules, and nothing that a compile would do: it is there to be included, and checked."""
    rules = any(isinstance(s, Rule) for s in spec.statements)
    return rules and all(isinstance(s, tree.Header | tree.Include | tree.Let | Rule) for s in spec.statements)


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
