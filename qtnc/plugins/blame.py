"""Whose an error is, by the code in which it arose."""

from dataclasses import dataclass
from traceback import walk_tb

from qtnc.plugins.entry import Passes
from qtnc.plugins.file import line_of
from qtnc.structures.plugins import Structures


@dataclass(frozen=True)
class Blame:
    """Whose an error is: a package's by its name, or that of a file, by its path and the line."""

    package: str = ""
    place: str = ""


def blamed(error: BaseException) -> Blame | None:
    """The package or the used file in whose code an error arose, as the traceback tells; None for qtnc itself."""
    if (at := line_of(error)) is not None:
        return Blame(place=f"{at[0]}:{at[1]}")
    offered = [(plugin.entry, plugin.package) for plugin in Structures().plugins]
    offered += [(plugin.entry, plugin.package) for plugin in Passes().plugins]
    homes = {entry.module.partition(".")[0]: package for entry, package in offered}
    found: BaseException | None = error
    while found is not None:
        for frame, _ in walk_tb(found.__traceback__):
            home = str(frame.f_globals.get("__name__")).partition(".")[0]
            if home in homes:
                return Blame(homes[home])
        found = found.__cause__
    return None
