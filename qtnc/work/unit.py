"""A unit of work and what comes of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from numpy.typing import NDArray

Arrays = tuple[NDArray[Any], ...]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a unit came to: plain data, as JSON holds it, and arrays."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    arrays: Arrays = ()


class Unit(Protocol):
    """A pure function with its arguments: a dataclass, whose outcome follows from its fields alone.

    It runs on one thread, in this process or another, and may be run once and kept for good: so it reads no clock, no
    file and no environment, and draws random numbers from a fixed seed.
    """

    def run(self) -> Outcome:
        """Do the work."""
        ...


@dataclass(frozen=True, eq=False)
class Task:
    """A unit to be made when its turn comes, so that one weight at a time is in memory.

    Attributes
    ----------
    layer : canonical name, for whoever watches.
    effort : how long it will take, in any unit that tasks of one run share.
    unit : makes the unit; may be called more than once.
    """

    layer: str
    effort: float
    unit: Callable[[], Unit]
