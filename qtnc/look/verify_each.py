"""Hold every pass to what it promises: run the model that it left, beside the one before it and the original."""

from collections.abc import Callable, Mapping, Sequence
from math import inf, isfinite
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx_ir as ir

from qtnc.backends.onnx import write_onnx
from qtnc.errors import BackendError, DataError, VerifyError, printable
from qtnc.pipeline import Ran
from qtnc.rewrite.decision import Rewritten
from qtnc.verify.check import Inputs
from qtnc.verify.compare import Runner, relative_errors, worst
from qtnc.verify.runners import onnx_runner, original_runner, said

EXACT = 1e-4
"""How far an exact pass may move an output, relative to it: float32 leaves 1e-6 where sums change their order."""

EXACT_IN_HALF = 2e-2
"""The same where numbers have 11 bits or fewer."""

Errors = Mapping[str, float]
"""Errors by output."""


class VerifyEach:
    """A hook that says after every pass how far its model is from the original, and ends at one that breaks it."""

    def __init__(self, original: Path, inputs: Sequence[Inputs], say: Callable[[str], None]) -> None:
        self.inputs = [given for given in inputs if given.feeds]
        if not self.inputs:
            reason = next((given.missing for given in inputs if given.missing), "the spec names no data")
            raise DataError(f"nothing to run after each pass: {reason}")
        self.original = self.before = original_runner(original)
        self.errors: list[Errors] = [{} for _ in self.inputs]
        self.say = say

    def __call__(self, ran: Ran, model: ir.Model) -> None:
        """Run the model.

        Raises
        ------
        VerifyError
            If it does not run, or computes something else although the pass is exact or did nothing; the message
            names the pass.
        """
        now = _runner(ran, model)
        for k, given in enumerate(self.inputs):
            errors, moved = self._measured(ran, now, given)
            data = given.check.data or "seeded"
            for output, error in errors.items():
                step = f", moved by {moved[output]:.2g}{_predicted(ran)}"
                self.say(f"{ran.name}: {printable(output)} differs by {error:.3%} on {data}{step}")
            _judge(ran, model, data, moved, self.errors[k], errors)
            self.errors[k] = errors
        self.before = now

    def _measured(self, ran: Ran, now: Runner, given: Inputs) -> tuple[Errors, Errors]:
        """Distance from the original, and from the model before the pass."""
        try:
            found = relative_errors(self.original, {"now": now}, given.feeds)["now"]
            same = self.before is self.original
            return found, found if same else relative_errors(self.before, {"now": now}, given.feeds)["now"]
        except (DataError, MemoryError):
            raise  # the first is of the original's runner: the inputs are wrong
        except Exception as error:  # onnxruntime's errors share no base class
            raise VerifyError(f"after pass {ran.name} the model does not run in onnxruntime: {said(error)}") from error


def _runner(ran: Ran, model: ir.Model) -> Runner:
    """Run a model from a file: in memory it may be larger than a message can be."""
    with TemporaryDirectory(prefix="qtnc-") as folder:
        path = Path(folder) / "model.onnx"
        try:
            write_onnx(model, path)
            return onnx_runner(path)
        except BackendError as error:
            why = said(error.__cause__ or error)
            raise VerifyError(f"pass {ran.name} leaves what is no valid ONNX model: {why}") from error
        except (OSError, MemoryError):
            raise
        except Exception as error:  # onnxruntime's errors share no base class
            raise VerifyError(f"after pass {ran.name} onnxruntime cannot load the model: {said(error)}") from error


def _judge(ran: Ran, model: ir.Model, data: str, moved: Errors, before: Errors, after: Errors) -> None:
    lossy = not ran.exact and ran.modified
    allowed = inf if lossy else rounding(model)
    output = max(moved, key=lambda name: moved[name], default=None)
    if output is None or (isfinite(moved[output]) and moved[output] <= allowed):
        return
    limit = "" if lossy else f" (allowed {allowed:.2%})"
    raise VerifyError(
        f"pass {ran.name} breaks the model: it moves {printable(output)} by {moved[output]:.3%}{limit} on {data}; "
        f"from the original it differed by {before.get(output, 0.0):.3%} before, and by {after[output]:.3%} after"
    )


def rounding(model: ir.Model) -> float:
    """How far outputs of a model may move by rounding alone."""
    return EXACT_IN_HALF if _has_halves(model) else EXACT


def _predicted(ran: Ran) -> str:
    """What the notes of a pass that approximates say of the layers."""
    errors = [note.error for note in ran.notes if isinstance(note, Rewritten)]
    return f" (layers by up to {worst(errors):.3%})" if errors else ""


def _has_halves(model: ir.Model) -> bool:
    """Whether floats that the model takes, stores or returns have 16 bits or fewer."""
    values = [*model.graph.inputs, *model.graph.outputs, *model.graph.initializers.values()]
    return any(v.dtype and v.dtype.is_floating_point() and v.dtype.itemsize <= 2 for v in values)
