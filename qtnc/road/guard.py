"""A pass of others, watched over: what it raises is its own, and what it leaves is a model of the same ends."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import onnx_ir as ir

from qtnc.errors import Diagnostic, InternalError, PassError, QtncError, printable
from qtnc.importers.valid import model_fault
from qtnc.ir.inference import infer_shapes
from qtnc.pipeline import PassResult
from qtnc.plugins.file import line_of
from qtnc.plugins.offer import Offer

LONGEST = 300
"""Characters of what a pass says as it fails."""

Ends = tuple[tuple[str, str], ...]
"""Names and types of inputs or outputs."""


@dataclass(frozen=True)
class Guarded:
    """Run a pass of another package or of a used file, and check the model that it leaves."""

    offer: Offer
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """That of the pass."""
        return self.offer.name

    @property
    def exact(self) -> bool:
        """What the pass says of itself."""
        return self.offer.exact

    def run(self, model: ir.Model) -> PassResult:
        """Run it, and infer the shapes of what is new.

        Raises
        ------
        PassError
            If it fails, or leaves what is no valid ONNX model, or one of other inputs or outputs.
        """
        before = _ends(model.graph.inputs), _ends(model.graph.outputs)
        with self.watched():
            result = self.offer.made(self.options).run(model)
        if not isinstance(result, PassResult) or not isinstance(result.model, ir.Model):
            raise self._wrong(f"returns a {printable(type(result).__name__)}, not a PassResult with a model")
        if fault := self._fault(result.model, before):
            raise self._wrong(fault)
        return PassResult(infer_shapes(result.model), True, result.notes) if result.modified else result

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Make an error of the pass of whatever its code raises.

        Raises
        ------
        PassError
            With what was raised, and where.
        """
        try:
            yield
        except (MemoryError, KeyboardInterrupt):
            raise
        except (Exception, SystemExit) as error:  # whatever a stranger's code does
            if isinstance(error, QtncError) and not isinstance(error, InternalError):
                raise
            raise self._failed(error) from error

    def _fault(self, model: ir.Model, before: tuple[Ends, Ends]) -> str | None:
        after = _ends(model.graph.inputs), _ends(model.graph.outputs)
        for word, was, now in zip(("inputs", "outputs"), before, after, strict=True):
            if was != now:
                return f"changes the {word} of the model: they were {_listed(was)}, and are {_listed(now)}"
        if fault := model_fault(model):
            return f"leaves what is no valid ONNX model: {fault}"
        return None

    def _failed(self, error: BaseException) -> PassError:
        root = error
        while root.__cause__ is not None:
            root = root.__cause__
        said = printable(f"{type(root).__name__}: {root}".rstrip(": "), LONGEST)
        at = line_of(error)
        return self._wrong(f"failed: {said}", place=f"{at[0]}:{at[1]}" if at else None)

    def _wrong(self, what: str, place: str | None = None) -> PassError:
        way_out = "repair the pass, or leave it out by --disable-pass"
        way_out = f"it is used at {self.offer.place}: {way_out}" if self.offer.place else way_out
        message = f"pass `{self.name}` of {self.offer.origin} {what}"
        return PassError(Diagnostic(message, help=way_out, place=place))


def _ends(values: Iterable[ir.Value]) -> Ends:
    return tuple((str(value.name), str(value.dtype)) for value in values)


def _listed(ends: Ends) -> str:
    return ", ".join(f"`{printable(name)}` ({dtype.lower()})" for name, dtype in ends) or "none"
