"""Bring a model into the form the other passes expect."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir
from onnx_ir.passes import Sequential
from onnx_ir.passes.common import (
    IdentityEliminationPass,
    LiftConstantsToInitializersPass,
    RemoveUnusedNodesPass,
)

from qtnc.pipeline import PassResult


@dataclass(frozen=True)
class Canonicalize:
    """Constants become initialisers, identities and dead nodes go.

    onnx-ir's own passes do the work: they keep graph inputs, outputs and metadata.
    """

    name: ClassVar[str] = "canonicalize"

    def run(self, model: ir.Model) -> PassResult:
        """Run the clean-ups in order."""
        steps = Sequential(
            LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
            IdentityEliminationPass(),
            RemoveUnusedNodesPass(),
        )
        result = steps(model)
        return PassResult(result.model, result.modified)
