"""A file to a program: read, parse, check, and say everything that is wrong in one go."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qtnc.errors import Diagnostic, SpecError
from qtnc.source import Source
from qtnc.spec.check import check
from qtnc.spec.program import Spec
from qtnc.spec.syntax import MAX_LENGTH, recover
from qtnc.spec.wording import MAX_ERRORS, in_order, too_long


def read_spec(path: Path, structures: Mapping[str, type[Any]], backends: Mapping[str, type[Any]]) -> Spec:
    """Read a spec from a file.

    Parameters
    ----------
    path
        The file; relative paths in it start at its folder.
    structures, backends
        What the spec may name, see :func:`qtnc.spec.check.check`.

    Raises
    ------
    SpecError
        The file cannot be read, or the spec is wrong; errors of syntax and of meaning come together.
    """
    return read_source(Source(str(path), read_text(path)), structures, backends, path.parent)


def read_text(path: Path) -> str:
    """Read the text of a spec.

    Raises
    ------
    SpecError
        The file cannot be read, is too long or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            content = file.read(4 * MAX_LENGTH + 1)
        if len(content) > 4 * MAX_LENGTH:
            raise SpecError(too_long(str(path), MAX_LENGTH))
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"the spec is not UTF-8: byte {error.object[error.start]:#04x} at offset {error.start}"
        raise SpecError(Diagnostic(message, place=str(path))) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SpecError(Diagnostic(f"cannot read the spec: {reason.lower()}", place=str(path))) from error


def read_source(
    source: Source, structures: Mapping[str, type[Any]], backends: Mapping[str, type[Any]], folder: Path
) -> Spec:
    """Read a spec from a text; ``folder`` is where relative paths start."""
    tree, errors = recover(source)
    # Nothing was read of a spec that is too long or of another version; too many errors mean that reading stopped.
    if errors and (not tree.lost or len(errors) > MAX_ERRORS):
        raise SpecError(*errors)
    try:
        spec = check(tree, structures, backends, folder)
    except SpecError as error:
        raise SpecError(*in_order([*errors, *error.diagnostics])) from None
    if errors:
        raise SpecError(*errors)
    return spec
