"""Units of work to try things on; a file of its own, so that another process can import it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_info

from qtnc.work.unit import Outcome


@dataclass(frozen=True, eq=False)
class Sum:
    """Add a number to an array, and leave a mark for every time that it is done."""

    array: NDArray[Any]
    number: float
    marks: str

    def run(self) -> Outcome:
        Path(self.marks, f"{self.number}-{os.urandom(4).hex()}").touch()
        threads = max(pool["num_threads"] for pool in threadpool_info())
        return Outcome({"number": self.number, "threads": threads}, (self.array + self.array.dtype.type(self.number),))


@dataclass(frozen=True, eq=False)
class Failing:
    """Raise."""

    message: str

    def run(self) -> Outcome:
        raise ValueError(self.message)


@dataclass(frozen=True, eq=False)
class Dying:
    """End the process, as the system does where memory is short."""

    number: int

    def run(self) -> Outcome:
        os._exit(9)


def of(value: float) -> NDArray[np.float32]:
    return np.full((3, 2), value, np.float32)
