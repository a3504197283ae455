"""A file to a program: read, parse, check, and say everything that is wrong in one go."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtnc.errors import Diagnostic, SpecError, UsageError
from qtnc.plugins.allowed import Allowed
from qtnc.source import Source
from qtnc.spec.check import check
from qtnc.spec.file import read_text
from qtnc.spec.include import expanded
from qtnc.spec.program import Spec
from qtnc.spec.settings import given, override
from qtnc.spec.syntax import recover
from qtnc.spec.tree import SpecTree
from qtnc.spec.wording import MAX_ERRORS, in_order


def read_spec(
    path: Path,
    structures: Mapping[str, type[Any]],
    backends: Mapping[str, type[Any]],
    settings: Sequence[str] = (),
    allowed: Allowed | None = None,
) -> Spec:
    """Read a spec from a file.

    Parameters
    ----------
    path
        The file; relative paths in it start at its folder.
    structures, backends
        What the spec may name, see :func:`qtnc.spec.check.check`.
    settings
        What is settled instead of what it says, see :func:`qtnc.spec.settings.override`.
    allowed
        What code of others may run, see :func:`qtnc.spec.check.check`.

    Raises
    ------
    SpecError
        The file or one that it includes cannot be read, or the spec is wrong; errors of syntax and of meaning come
        together.
    UsageError
        A setting is wrong, or makes wrong what is right without.
    """
    return read_source(Source(str(path), read_text(path)), structures, backends, path.parent, settings, allowed)


def read_source(
    source: Source,
    structures: Mapping[str, type[Any]],
    backends: Mapping[str, type[Any]],
    folder: Path,
    settings: Sequence[str] = (),
    allowed: Allowed | None = None,
) -> Spec:
    """Read a spec from a text; ``folder`` is where relative paths start."""
    found = examine(source, structures, backends, folder, allowed=allowed)
    if found.errors or found.spec is None:
        raise SpecError(*found.errors)
    values = given(found.spec, settings)
    if not values:
        return override(found.spec, settings)
    spec, errors = check(found.whole, structures, backends, folder, values, allowed)
    if errors:
        raise UsageError(*in_order(errors))
    return override(spec, settings)


@dataclass(frozen=True)
class Examined:
    """What could be read of a text.

    Attributes
    ----------
    tree, whole : its statements, and those with what it includes in place of includes, where that could be read.
    spec : what they mean, as far as they mean anything; None where that was not looked at.
    errors : all that is wrong, in order of place.
    """

    tree: SpecTree
    whole: SpecTree
    spec: Spec | None
    errors: tuple[Diagnostic, ...]


def examine(
    source: Source,
    structures: Mapping[str, type[Any]],
    backends: Mapping[str, type[Any]],
    folder: Path,
    read: Callable[[Path], str] = read_text,
    *,
    allowed: Allowed | None = None,
) -> Examined:
    """Read what can be read of a text, and say all that is wrong with it; ``read`` gives the texts of other files."""
    tree, errors = recover(source)
    # Nothing was read of a spec that is too long or of another version; too many errors mean that reading stopped.
    if errors and (not tree.lost or len(errors) > MAX_ERRORS):
        return Examined(tree, tree, None, errors)
    try:
        whole, errors = expanded(tree, errors, folder, read)
    except SpecError as error:
        return Examined(tree, tree, None, error.diagnostics)
    spec, found = check(whole, structures, backends, folder, allowed=allowed)
    return Examined(tree, whole, spec, tuple(in_order([*errors, *found])))
