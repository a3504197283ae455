"""What there is to know of every structure: those of other packages are imported for it."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from inspect import cleandoc

from qtnc.errors import PluginError
from qtnc.structures.options import Option, options_of
from qtnc.structures.plugins import Plugin, Structures
from qtnc.structures.registry import STRUCTURES
from qtnc.structures.structure import Structure


@dataclass(frozen=True)
class StructureEntry:
    """One structure. ``usable`` says whether a spec may name it; where it may not, ``summary`` says why."""

    name: str
    summary: str
    usable: bool
    options: tuple[Option, ...]
    package: str
    version: str


def list_structures(structures: Structures) -> tuple[StructureEntry, ...]:
    """Ours in the order of the table, then what other packages offer, whether it can be had or not."""
    ours = (_entry(name, kind, "qtnc", version("qtnc")) for name, kind in STRUCTURES.items())
    return (*ours, *_foreign(structures))


def first_paragraph(documentation: str) -> str:
    """First paragraph of a class's documentation, on one line."""
    return cleandoc(documentation).split("\n\n")[0].replace("\n", " ").replace("``", "`")


def _foreign(structures: Structures) -> Iterator[StructureEntry]:
    for plugin in structures.plugins:
        if plugin.name in STRUCTURES:
            yield _refused(plugin, f"not used: `{plugin.name}` is qtnc's own")
            continue
        try:
            yield _entry(plugin.name, structures[plugin.name], plugin.package, plugin.version)
        except PluginError as error:
            yield _refused(plugin, error.diagnostics[0].message)


def _entry(name: str, kind: type[Structure], package: str, released: str) -> StructureEntry:
    return StructureEntry(
        name, first_paragraph(kind.__doc__ or ""), True, tuple(options_of(kind).values()), package, released
    )


def _refused(plugin: Plugin, reason: str) -> StructureEntry:
    return StructureEntry(plugin.name, reason, False, (), plugin.package, plugin.version)
