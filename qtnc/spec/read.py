"""A file to a program: read, parse, check, and say everything that is wrong in one go."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qtnc.errors import SpecError, UsageError
from qtnc.plugins.allowed import Allowed
from qtnc.source import Source
from qtnc.spec.check import check
from qtnc.spec.file import read_text
from qtnc.spec.include import expanded
from qtnc.spec.program import Spec
from qtnc.spec.settings import given, override
from qtnc.spec.syntax import recover
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
    tree, errors = recover(source)
    # Nothing was read of a spec that is too long or of another version; too many errors mean that reading stopped.
    if errors and (not tree.lost or len(errors) > MAX_ERRORS):
        raise SpecError(*errors)
    tree, errors = expanded(tree, errors, folder)
    try:
        spec = check(tree, structures, backends, folder, allowed=allowed)
    except SpecError as error:
        raise SpecError(*in_order([*errors, *error.diagnostics])) from None
    if errors:
        raise SpecError(*in_order(errors))
    values = given(spec, settings)
    if values:
        try:
            spec = check(tree, structures, backends, folder, values, allowed)
        except SpecError as error:
            raise UsageError(*error.diagnostics) from None
    return override(spec, settings)
