"""Devices by the names that specs have for them, e.g. ``line-9q``; how they connect their qubits is in ``device``."""

import re
from dataclasses import dataclass, replace
from math import isqrt
from typing import Final

from qtnc.errors import did_you_mean, printable

LARGEST: Final = 1000
"""Qubits that a device may have; the transpiler's time grows with them."""

HEAVY_HEX: Final = {qubits: d for d in range(3, 20, 2) if (qubits := (5 * d * d - 2 * d - 1) // 2) <= LARGEST}
"""Distance of each heavy-hex lattice, by its qubits."""

SIZED: Final = {"line": "line-9q", "grid": "grid-3x3", "heavy-hex": "heavy-hex-19q", "all-to-all": "all-to-all-9q"}
"""Every kind of device, with an example of how its size is written."""

FORMS: Final = f"a target is {', '.join(SIZED)}, alone or with a size: {', '.join(SIZED.values())}"

_NAME = re.compile(rf"({'|'.join(SIZED)})(?:-([1-9][0-9]{{0,3}})(?:q|x([1-9][0-9]{{0,3}})))?")


@dataclass(frozen=True)
class Target:
    """A kind of device, and its size: rows and columns of a grid, qubits of the others, nothing where it is open."""

    kind: str
    size: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Target":
        """Read a name.

        Raises
        ------
        ValueError
            That says what is wrong with it, and the forms there are.
        """
        found = _NAME.fullmatch(text)
        if found is None:
            raise ValueError(f"unknown target `{printable(text)}`; {_nearest(text) or FORMS}")
        kind, *sizes = found.groups()
        target = cls(kind, tuple(int(size) for size in sizes if size))
        if target.size and len(target.size) != (2 if kind == "grid" else 1):
            raise ValueError(f"the size of a `{kind}` is written as in `{SIZED[kind]}`, not as in `{text}`")
        if target.qubits > LARGEST:
            raise ValueError(f"`{text}` has {target.qubits} qubits, and {LARGEST} is the most there can be")
        if kind == "heavy-hex" and target.size and target.qubits not in HEAVY_HEX:
            raise ValueError(f"`{text}`: a heavy-hex lattice has {', '.join(map(str, HEAVY_HEX))} qubits")
        return target

    @property
    def qubits(self) -> int:
        """Qubits of the device; 0 where its size is open."""
        rows, columns = (*self.size, 1, 1)[:2]
        return rows * columns if self.size else 0

    def sized(self, qubits: int) -> "Target":
        """Itself; where the size is open, the smallest device of its kind that holds ``qubits``."""
        qubits = max(1, qubits)
        if self.size:
            return self
        if self.kind == "grid":
            rows = isqrt(qubits)
            return replace(self, size=(rows, -(-qubits // rows)))
        return replace(self, size=(next(q for q in HEAVY_HEX if q >= qubits) if self.kind == "heavy-hex" else qubits,))

    def __str__(self) -> str:
        if not self.size:
            return self.kind
        return f"{self.kind}-{self.size[0]}x{self.size[1]}" if self.kind == "grid" else f"{self.kind}-{self.size[0]}q"


def _nearest(text: str) -> str | None:
    kind = re.sub(r"[^a-z]+", "-", text[:40].lower()).removesuffix("q").strip("-")
    near = did_you_mean(kind, SIZED)
    return f"{near} {FORMS}" if near else None
