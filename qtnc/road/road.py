"""The pipeline of a compile: the default one, and what it becomes when it is told otherwise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from qtnc.errors import Diagnostic, UsageError
from qtnc.pipeline import Pass
from qtnc.road.steps import NOTHING_USED, Known, Step, read_steps, unknown

LOWERS: Final = "lower-to-onnx"
"""The pass that writes networks and circuits out; torch and Qiskit take the model before it, ONNX at the end."""

DEFAULT: Final = ",".join(
    (
        "canonicalize",
        "fold-constants",
        "matmul-to-lowrank",
        "matmul-to-mpo",
        "matmul-to-circuit",
        "matmul-to-network",
        "choose-contraction-order",
        LOWERS,
    )
)
"""What a compile does where nothing else is said."""


@dataclass(frozen=True)
class Road:
    """Passes in order, in three parts: before the plan, from it to the lowering, and from the lowering on."""

    steps: tuple[Step, ...]
    known: Known = NOTHING_USED

    def prepare(self, given: Mapping[str, Any]) -> tuple[Pass, ...]:
        """Passes before the plan is made."""
        return _made(self.steps[: self.cuts[0]], given)

    def rewrite(self, given: Mapping[str, Any]) -> tuple[Pass, ...]:
        """Passes that do what the plan decided, and what follows before the lowering."""
        return _made(self.steps[self.cuts[0] : self.cuts[1]], given)

    def lower(self, given: Mapping[str, Any]) -> tuple[Pass, ...]:
        """The lowering, and what follows it."""
        return _made(self.steps[self.cuts[1] :], given)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the passes, in order."""
        return tuple(step.name for step in self.steps)

    @property
    def text(self) -> str:
        """The passes with their options, as :func:`read_road` reads them."""
        return ",".join(map(str, self.steps))

    @cached_property
    def cuts(self) -> tuple[int, int]:
        """Where the second part begins, and where the third."""
        lowering = self.names.index(LOWERS) if LOWERS in self.names else len(self.steps)
        return next((k for k, step in enumerate(self.steps) if step.decides), lowering), lowering

    def check_named(self, names: Sequence[str]) -> None:
        """Refuse names of passes that do not stand in the pipeline.

        Raises
        ------
        UsageError
            With the nearest name.
        """
        for name in names:
            if name not in self.names:
                self.known.step(name)
                raise unknown(f"the pipeline has no pass `{name}`", name, dict.fromkeys(self.names))


def read_road(text: str | None = None, without: Sequence[str] = (), known: Known = NOTHING_USED) -> Road:
    """Read a pipeline, the default one where there is no text, and leave passes out.

    Passes that a spec uses and the text does not name run right before those that do what the plan decides; late ones
    right after them.

    Raises
    ------
    UsageError
        If the text is wrong, a pass to be left out is not there, or what the plan decides would be done piecemeal.
    PluginError
        If the text names a pass of another package that cannot be had.
    """
    named = Road(read_steps(DEFAULT if text is None else text, known), known)
    whole = replace(named, steps=_with_used(named, again=text is None))
    whole.check_named(without)
    road = replace(whole, steps=tuple(step for step in whole.steps if step.name not in without))
    _check_together(road)
    return road


def _with_used(road: Road, *, again: bool) -> tuple[Step, ...]:
    """The steps with those that are used; what came before them runs ``again``, to clean up after them."""
    cut = road.cuts[0]
    used = tuple(step for step in road.known.used if step.name not in road.names)
    late = tuple(step for step in road.known.late if step.name not in road.names)
    end = max((k + 1 for k, step in enumerate(road.steps) if step.decides), default=cut)
    before = road.steps[:cut]
    return (*before, *used, *(before if used and again else ()), *road.steps[cut:end], *late, *road.steps[end:])


def _check_together(road: Road) -> None:
    """What the plan decides holds for the layers as it found them: nothing may come in between, nor come again."""
    places = [k for k, step in enumerate(road.steps) if step.decides]
    names = [road.names[k] for k in places]
    apart = bool(places) and places[-1] - places[0] >= len(places)
    late = bool(places) and LOWERS in road.names and places[-1] > road.names.index(LOWERS)
    if apart or late or len(set(names)) < len(names):
        message = f"{', '.join(dict.fromkeys(names))} must stand together, each once, before {LOWERS}"
        raise UsageError(Diagnostic(message, help="they do what the plan decided, for layers as it found them"))


def _made(steps: Sequence[Step], given: Mapping[str, Any]) -> tuple[Pass, ...]:
    return tuple(step.made(given) for step in steps)
