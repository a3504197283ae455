"""Files that a spec names by paths: relative ones, of one ending, that stay in the folder of the spec."""

import os
from pathlib import Path

from qtnc.errors import did_you_mean
from qtnc.spec.tree import String
from qtnc.spec.values import RefusedError
from qtnc.spec.wording import clip


def found_inside(file: String, folder: Path, root: Path, ending: str, verb: str) -> Path:
    """Find a file from the folder of the source that names it, links followed.

    Parameters
    ----------
    root
        That of the spec, without links; no file outside of it is asked for.
    verb
        What a spec does with such files: the word of the statement.

    Raises
    ------
    RefusedError
        If it is of another ending, lies elsewhere, or is not there.
    """
    named = f"`{clip(file.text)}`"
    if not file.text.endswith(ending):
        raise RefusedError(f"{named} does not end in `{ending}`", file.span, f"other files cannot be {verb}d")
    written = Path(os.path.normpath(folder / file.text))
    # Only what its words leave in the folder is asked of the system.
    inside = not os.path.isabs(file.text) and written.is_relative_to(root)
    path = Path(os.path.realpath(written)) if inside else written
    if not inside or not path.is_relative_to(root):
        way_out = f"a spec {verb}s relative paths that stay in its own folder, links followed"
        raise RefusedError(f"{named} lies outside of the folder of the spec", file.span, way_out)
    if os.path.isfile(path):
        return path
    if os.path.exists(path):
        raise RefusedError(f"{named} is no file", file.span)
    beside = (entry.name for entry in path.parent.glob(f"*{ending}"))
    raise RefusedError(f"there is no {named}", file.span, did_you_mean(path.name, beside))
