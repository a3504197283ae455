"""A watch over one compile: the seconds of each stage, and what looks at the model after each pass."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

import onnx_ir as ir

from qtnc.pipeline import Hook, Ran
from qtnc.work.work import Listener, Progress


@dataclass(frozen=True)
class Lap:
    """One stage of a compile and its seconds."""

    stage: str
    seconds: float


@dataclass(eq=False)
class Watch:
    """Laps in the order in which stages end.

    Attributes
    ----------
    listener : is told when a stage begins.
    looks : hooks by the stage that their time counts for.
    """

    listener: Listener
    looks: dict[str, Hook] = field(default_factory=dict)
    laps: list[Lap] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage."""
        self.listener(Progress(name))
        start = perf_counter()
        yield
        self.laps.append(Lap(name, perf_counter() - start))

    def after(self, ran: Ran, model: ir.Model) -> None:
        """Note the seconds of a pass, then look at what it left; a hook of pipelines."""
        self.laps.append(Lap(ran.name, ran.seconds))
        for stage, look in self.looks.items():
            with self.stage(f"{stage} {ran.name}"):
                look(ran, model)
