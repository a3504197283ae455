"""Passes and the pipeline that runs them.

A pass is a frozen dataclass: its fields are its options, its ``name`` is what reports and flags call it. The IR is a
valid ONNX model before and after every pass.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

import onnx_ir as ir

from qtnc.errors import InternalError, QtncError


@dataclass(frozen=True)
class PassResult:
    """What a pass leaves behind. ``notes`` are facts for the report, e.g. one a layer that was rewritten."""

    model: ir.Model
    modified: bool
    notes: tuple[object, ...] = ()


class Pass(Protocol):
    """One rewrite of the graph. Where it changes what the model computes, its class says ``exact = False``."""

    @property
    def name(self) -> str:
        """What reports and flags call it; with most it is one for the class."""
        ...

    def run(self, model: ir.Model) -> PassResult:
        """Rewrite the model, in place where that is easiest."""
        ...


def is_exact(step: Pass | type[Pass]) -> bool:
    """Whether a pass is to leave what the model computes as it was, but for rounding; its class may say it is not."""
    return bool(getattr(step, "exact", True))


@dataclass(frozen=True)
class Ran:
    """One pass as it ran."""

    name: str
    modified: bool
    seconds: float
    notes: tuple[object, ...]
    exact: bool = True


Hook = Callable[[Ran, ir.Model], None]
"""Looks at a pass that ran and at the model that it left."""


@dataclass(frozen=True)
class PipelineResult:
    """The model at the end, and what happened on the way."""

    model: ir.Model
    ran: tuple[Ran, ...]


@dataclass(frozen=True)
class Pipeline:
    """Passes in order; after each the hooks, in order, e.g. to verify it."""

    passes: Sequence[Pass]
    after: Sequence[Hook] = ()

    def run(self, model: ir.Model) -> PipelineResult:
        """Run every pass.

        Raises
        ------
        InternalError
            If a pass fails with anything but an error meant for the user; the message names the pass.
        """
        ran: list[Ran] = []
        for step in self.passes:
            start = perf_counter()
            try:
                result = step.run(model)
            except (QtncError, MemoryError):
                raise
            except Exception as error:
                before = ", ".join(r.name for r in ran) or "none"
                raise InternalError(f"pass {step.name} failed (passes before it: {before}): {error}") from error
            model = result.model
            ran.append(Ran(step.name, result.modified, perf_counter() - start, result.notes, is_exact(step)))
            for hook in self.after:
                hook(ran[-1], model)
        return PipelineResult(model, tuple(ran))
