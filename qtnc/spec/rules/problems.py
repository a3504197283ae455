"""What is wrong with one rule, as far as it is shown: a rule is one statement, and may be as long as a spec."""

from collections.abc import Iterable
from typing import Self

from qtnc.spec.values import RefusedError
from qtnc.spec.wording import MAX_ERRORS


class EnoughError(Exception):
    """More is wrong than is shown."""


class Problems(list[RefusedError]):
    """Mistakes in the order in which they were found; one too many ends the search."""

    def append(self, problem: RefusedError) -> None:
        """Add a mistake.

        Raises
        ------
        EnoughError
            If it is one too many.
        """
        super().append(problem)
        if len(self) > MAX_ERRORS:
            raise EnoughError

    def __iadd__(self, problems: Iterable[RefusedError]) -> Self:  # type: ignore[misc, override]
        for problem in problems:
            self.append(problem)
        return self
