"""The text of a spec, from its file."""

from pathlib import Path

from qtnc.errors import Diagnostic, SpecError
from qtnc.spec.syntax import MAX_LENGTH
from qtnc.spec.wording import too_long


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
