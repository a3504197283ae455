"""The structures that ship, by the word the language has for them.

The table is handed down by the compiler, so that a third party's structure enters by the same door.
"""

from collections.abc import Mapping
from types import MappingProxyType

from qtnc.structures.circuit import Circuits
from qtnc.structures.lowrank import LowRank
from qtnc.structures.mpo import Mpo
from qtnc.structures.structure import Structure

STRUCTURES: Mapping[str, type[Structure]] = MappingProxyType({s.name: s for s in (LowRank, Mpo, Circuits)})
