"""The pipeline of a compile: the default one, and what it becomes when it is told otherwise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from qtnc.errors import Diagnostic, UsageError
from qtnc.pipeline import Pass
from qtnc.road.steps import Step, known_pass, read_steps, unknown

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

    def prepare(self, given: Mapping[str, Any]) -> tuple[Pass, ...]:
        """Passes before the plan is made."""
        return _made(self.steps[: self._cuts[0]], given)

    def rewrite(self, given: Mapping[str, Any]) -> tuple[Pass, ...]:
        """Passes that do what the plan decided, and what follows before the lowering."""
        return _made(self.steps[self._cuts[0] : self._cuts[1]], given)

    def lower(self, given: Mapping[str, Any]) -> tuple[Pass, ...]:
        """The lowering, and what follows it."""
        return _made(self.steps[self._cuts[1] :], given)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the passes, in order."""
        return tuple(step.name for step in self.steps)

    @property
    def text(self) -> str:
        """The passes with their options, as :func:`read_road` reads them."""
        return ",".join(map(str, self.steps))

    @cached_property
    def _cuts(self) -> tuple[int, int]:
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
                known_pass(name)
                raise unknown(f"the pipeline has no pass `{name}`", name, dict.fromkeys(self.names))


def read_road(text: str | None = None, without: Sequence[str] = ()) -> Road:
    """Read a pipeline, the default one where there is no text, and leave passes out.

    Raises
    ------
    UsageError
        If the text is wrong, a pass to be left out is not there, or what the plan decides would be done piecemeal.
    """
    whole = Road(read_steps(DEFAULT if text is None else text))
    whole.check_named(without)
    road = Road(tuple(step for step in whole.steps if step.name not in without))
    _check_together(road)
    return road


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
