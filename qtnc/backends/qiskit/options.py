"""What a spec may say of circuits that come out as Qiskit's."""

from dataclasses import dataclass
from typing import ClassVar

from qtnc.backends.qiskit.target import Target
from qtnc.structures.options import option


@dataclass(frozen=True)
class QiskitOptions:
    """The device to transpile to, and the terms on which shots are priced."""

    selects: ClassVar[bool] = True

    target: str = option("text", "all-to-all", "device: line, grid, heavy-hex or all-to-all, alone or as in line-9q")
    shots: int = option("count", 100_000, "runs of a circuit that a price is asked for")
    error: float = option("fraction", 0.05, "relative error of the outputs at which shots are priced")

    def check(self) -> str | None:
        """Say what is wrong with the target, if anything is."""
        try:
            Target.parse(self.target)
        except ValueError as error:
            return str(error)
        return None
