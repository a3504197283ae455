"""The verdict: what the spec allows, what was measured, and whether it holds."""

from collections.abc import Mapping
from dataclasses import dataclass

from qtnc.verify.compare import worst

AGREEMENT = 1e-3
"""Relative distance up to which two backends count as the same model; both compute in the weights' own dtype."""


@dataclass(frozen=True)
class Verdict:
    """One ``verify`` statement as measured.

    Attributes
    ----------
    data : name of the data, ``seeded`` where the spec names none.
    tolerance : relative error allowed, or None where the spec only wants to know.
    errors : backend -> output -> relative error against the original.
    disagreement : largest relative distance between two backends.
    """

    data: str
    tolerance: float | None
    errors: Mapping[str, Mapping[str, float]]
    disagreement: float

    @property
    def worst(self) -> float:
        """Largest error of any backend and output."""
        return worst(worst(outputs) for outputs in self.errors.values())

    @property
    def holds(self) -> bool:
        """Whether every backend is within the tolerance and the backends agree."""
        return (self.tolerance is None or self.worst <= self.tolerance) and self.disagreement <= AGREEMENT

    def lines(self) -> list[str]:
        """One line a backend and output, and one for agreement."""
        found = []
        allowed = f"allowed {self.tolerance:.3%}" if self.tolerance is not None else "no limit asked"
        for backend, outputs in self.errors.items():
            for output, error in outputs.items():
                bad = self.tolerance is not None and not error <= self.tolerance
                found.append(
                    f"{backend}: {output} differs by {error:.3%} on {self.data} ({allowed}){' FAILED' if bad else ''}"
                )
        if self.disagreement > AGREEMENT:
            found.append(f"backends differ from each other by {self.disagreement:.3%} (allowed {AGREEMENT:.1%}) FAILED")
        return found
