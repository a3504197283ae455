"""What code of others a command may run."""

from dataclasses import dataclass, field
from typing import Literal

from qtnc.plugins.entry import Passes
from qtnc.structures.plugins import Structures

Python = Literal["run", "leave", "refuse"]
"""What is done with Python files that a spec uses: run, left alone so that what they offer is not known, or refused."""


@dataclass(frozen=True)
class Allowed:
    """What a spec may use beside what ships; where Python is refused, packages are too.

    Attributes
    ----------
    plugins : whether code of other packages may run.
    python : what is done with files.
    own : names that passes of qtnc have, which no other has.
    """

    plugins: bool = True
    python: Python = "run"
    own: frozenset[str] = frozenset()
    passes: Passes = field(init=False)
    structures: Structures = field(init=False)

    def __post_init__(self) -> None:
        allowed = self.plugins and self.python != "refuse"
        object.__setattr__(self, "passes", Passes(allowed))
        object.__setattr__(self, "structures", Structures(allowed))
