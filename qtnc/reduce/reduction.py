"""The search: statements, nodes, passes, sizes, weights and data in turn, until nothing more can go."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx_ir as ir

from qtnc.calibrate.npz import opened
from qtnc.reduce.ddmin import smallest
from qtnc.reduce.graph import part_of, resized, seeded, sizes_of, weights_of
from qtnc.reduce.pair import Pair
from qtnc.reduce.text import inlined, shortened
from qtnc.reduce.trial import Outcome, Sought, run

ROUNDS = 3
"""How often the search begins again after something went: a smaller spec may need fewer nodes, and so on."""

ROWS = (1, 2, 4, 8)
"""Samples of data that are tried."""


class SpentError(Exception):
    """All trials that were allowed have been made."""


@dataclass
class Reduction:
    """One search.

    Attributes
    ----------
    best : the smallest pair that fails by now.
    outcome : how it does.
    told : is called after each trial that fails.
    left : trials that may still be made.
    """

    command: str
    more: tuple[str, ...]
    best: Pair
    outcome: Outcome
    sought: Sought
    seconds: float
    left: int
    told: Callable[["Reduction"], None]
    scratch: Path
    done: int = 0
    seeds_only: bool = field(default=False, init=False)

    def fails(self, pair: Pair | None) -> bool:
        """Try a pair; if it fails in the way that is sought it is the best."""
        if pair is None:
            return False
        if not self.left:
            raise SpentError
        self.left -= 1
        self.done += 1
        with TemporaryDirectory(prefix="trial-", dir=self.scratch) as name:
            folder = Path(name)
            if not pair.write(folder):
                return False
            outcome = run(pair.arguments(self.command, self.more), folder, self.seconds)
        if not self.sought.is_met(outcome):
            return False
        self.best, self.outcome = pair, outcome
        self.told(self)
        return True

    def all(self) -> None:
        """Search until nothing more goes.

        Raises
        ------
        SpentError
            If no trial is left.
        """
        for _ in range(ROUNDS):
            before = self.best
            self.includes()
            self.statements()
            self.nodes()
            self.passes()
            if self.best is before:
                break
        self.sizes()
        self.weights()
        self.rows()
        self.files()

    def includes(self) -> None:
        """Put what is included in the place of each `include`, so that parts of it can go; once for each file."""
        tried: set[str] = set()
        while now := next((s for s in self.best.statements or () if s.text not in tried), None):
            tried.add(now.text)
            statements = self.best.statements or ()
            inner, place = inlined(now, self.best.files), statements.index(now)
            if inner is not None:
                self.fails(replace(self.best, statements=(*statements[:place], *inner, *statements[place + 1 :])))

    def statements(self) -> None:
        """Leave out statements, and clauses of those that stay."""
        if self.best.statements is None:
            return
        smallest(self.best.statements, lambda kept: self.fails(replace(self.best, statements=kept)))
        for place in range(len(self.best.statements)):
            going = True
            while going:
                now = self.best.statements
                shorter = ((*now[:place], less, *now[place + 1 :]) for less in shortened(now[place]))
                going = any(self.fails(replace(self.best, statements=statements)) for statements in shorter)

    def nodes(self) -> None:
        """Leave out nodes; what they made is an input then."""
        model = self.best.model
        if isinstance(model, ir.Model):
            smallest(range(len(model.graph)), lambda kept: self._fails_with(part_of(model, {*kept})))

    def passes(self) -> None:
        """Leave out passes."""
        if self.best.passes is not None:
            smallest(self.best.passes, lambda kept: self.fails(replace(self.best, passes=kept)))

    def sizes(self) -> None:
        """Make axes smaller, all of one size at a time."""
        if not isinstance(self.best.model, ir.Model):
            return
        for old in sizes_of(self.best.model):
            for new in _smaller(old):
                if isinstance(self.best.model, ir.Model) and self._fails_with(resized(self.best.model, old, new)):
                    break

    def weights(self) -> None:
        """Put numbers from a seed in the place of weights: of all, or of as many as can be."""
        model = self.best.model
        if isinstance(model, ir.Model) and (names := weights_of(model)):
            own = smallest(names, lambda kept: self._fails_with(seeded(model, {*names} - {*kept})))
            self.seeds_only = not own

    def rows(self) -> None:
        """Take fewer samples of data."""
        for name in [name for name in self.best.files if name.endswith(".npz")]:
            for count in ROWS:
                shorter = self._cut(self.best.files[name], count, self.scratch / f"{count}-{name}")
                if shorter and self.fails(replace(self.best, files={**self.best.files, name: shorter})):
                    break

    def files(self) -> None:
        """Leave out files that nothing names any more."""
        files = dict(self.best.files)
        smallest([*files], lambda kept: self.fails(replace(self.best, files={name: files[name] for name in kept})))

    def _fails_with(self, model: ir.Model | None) -> bool:
        return model is not None and self.fails(replace(self.best, model=model))

    def _cut(self, path: Path, count: int, target: Path) -> Path | None:
        try:
            with opened(path) as archive:
                arrays = {name: archive.read(name) for name in archive.names}
            if all(len(array) <= count for array in arrays.values()):
                return None
            shorter: dict[str, Any] = {name: array[:count] for name, array in arrays.items()}
            np.savez(target, **shorter)
        except Exception:  # damaged data may be just what fails
            return None
        return target


def _smaller(old: int) -> Iterator[int]:
    yield from sorted({size for size in (2, 4, old // 8, old // 2) if 1 < size < old})
