"""Structures of other packages: their names come from metadata, and a package is imported when a spec names it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, cast

from qtnc.errors import Diagnostic, PluginError, printable
from qtnc.structures.registry import STRUCTURES
from qtnc.structures.structure import Structure

GROUP: Final = "qtnc.structures"
"""The group of entry points by which a package offers structures: the word in the language, and the class."""

MEMBERS: Final = ("name", *(member for member in vars(Structure) if not member.startswith("_")))
"""What a class has that is a structure."""

LONGEST_REASON: Final = 300
"""Characters of what a package says as it fails."""


@dataclass(frozen=True)
class Plugin:
    """A structure that a package offers, not imported yet.

    Attributes
    ----------
    name : the word in the language.
    package, version : the distribution that it comes from.
    entry : where the class is.
    """

    name: str
    package: str
    version: str
    entry: EntryPoint

    def load(self) -> type[Structure]:
        """Import the class.

        Raises
        ------
        PluginError
            If that fails, or it is no structure of this name.
        """
        try:
            found: Any = self.entry.load()
        except (Exception, SystemExit) as error:  # whatever a stranger's module does as it is imported
            reason = printable(f"{type(error).__name__}: {error}", LONGEST_REASON)
            raise self._wrong(f"cannot be imported: {reason}") from error
        if fault := structure_fault(found):
            raise self._wrong(fault)
        structure = cast("type[Structure]", found)
        if structure.name != self.name:
            raise self._wrong(f"calls itself `{printable(str(structure.name))}`")
        return structure

    def _wrong(self, what: str) -> PluginError:
        message = f"structure `{printable(self.name)}` of {self.package} {self.version} {what}"
        way_out = f"repair the package, or remove it: `pip uninstall {self.package}`"
        return PluginError(Diagnostic(message, help=way_out))


@dataclass(frozen=True, eq=False)
class Structures(Mapping[str, type[Structure]]):
    """All structures by the word the language has for them: ours, then those of other packages as they are asked for.

    Of two of one name ours is taken; of two packages neither is. Looking one up raises a PluginError where it cannot
    be had, and where ``allowed`` is False all that come from other packages are refused.
    """

    allowed: bool = True

    @cached_property
    def plugins(self) -> tuple[Plugin, ...]:
        """What other packages offer, sorted by name and package; nothing is imported."""
        found = [
            Plugin(entry.name, entry.dist.name, entry.dist.version, entry)
            for entry in entry_points(group=GROUP)
            if entry.dist is not None
        ]
        return tuple(sorted(found, key=lambda plugin: (plugin.name, plugin.package)))

    def offers(self, name: str) -> tuple[Plugin, ...]:
        """Plug-ins of one name."""
        return tuple(plugin for plugin in self.plugins if plugin.name == name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*STRUCTURES, *(plugin.name for plugin in self.plugins))))

    def __len__(self) -> int:
        return len(tuple(iter(self)))

    def __contains__(self, name: object) -> bool:
        return name in STRUCTURES or any(plugin.name == name for plugin in self.plugins)

    def __getitem__(self, name: str) -> type[Structure]:
        if name in STRUCTURES:
            return STRUCTURES[name]
        offers = self.offers(name)
        if not offers:
            raise KeyError(name)
        shown = f"structure `{printable(name)}`"
        packages = " and ".join(f"{plugin.package} {plugin.version}" for plugin in offers)
        if not self.allowed:
            message = f"{shown} comes from {packages}, and plug-ins are not allowed"
            raise PluginError(
                Diagnostic(message, help="leave out `--no-plugins` or `--no-python`, or take a structure of qtnc's own")
            )
        if len(offers) > 1:
            raise PluginError(Diagnostic(f"{shown} is offered by {packages}", help="uninstall all of them but one"))
        return offers[0].load()


def structure_fault(found: Any) -> str | None:
    """What keeps a thing from being the class of a structure, or None."""
    if not (isinstance(found, type) and is_dataclass(found)):
        return "is no dataclass"
    missing = [member for member in MEMBERS if not hasattr(found, member)]
    return f"is no structure: it has no {', '.join(f'`{member}`' for member in missing)}" if missing else None


def at_hand(structures: Mapping[str, type[Any]]) -> Mapping[str, type[Any]]:
    """Those of some structures that are there without importing another package."""
    return STRUCTURES if isinstance(structures, Structures) else structures


def packages_of(names: Iterable[str]) -> tuple[str, ...]:
    """Packages, other than qtnc, that structures of these names come from, sorted."""
    foreign = set(names) - set(STRUCTURES)
    return tuple(sorted({p.package for p in Structures().plugins if p.name in foreign})) if foreign else ()
