"""Every error of the project, and the diagnostics they carry.

An error reaches the user as one or more diagnostics: what is wrong, where, and the way out.
The exit code belongs to the class: 1 the input is wrong, 2 usage, 3 verification or budget failed, 70 our bug.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import ClassVar

from qtnc.source import Span

LONGEST_NAME = 80
"""Characters of a name that messages and tables show."""


def visible(text: str) -> str:
    """Text in which a terminal finds nothing to act on: control characters, and those that turn text around, shown."""
    return text if text.isprintable() else "".join(map(_visible, text))


def printable(name: str, limit: int = LONGEST_NAME) -> str:
    """A name from a model file, safe to print: control characters shown, length bounded."""
    text = visible(name[: limit + 1])
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _visible(char: str) -> str:
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


@dataclass(frozen=True)
class Diagnostic:
    """One thing to say: ``message`` says what is wrong, ``help`` the way out, ``span`` or ``place`` where."""

    message: str
    span: Span | None = None
    help: str | None = None
    place: str | None = None

    def render(self, severity: str = "error") -> str:
        """Text for a terminal: place, message, source line with carets, help; names in them cannot break the line."""
        where = self.span.place() if self.span else self.place
        message = visible(self.message)
        lines = [f"{visible(where)}: {severity}: {message}" if where else f"{severity}: {message}"]
        if self.span:
            lines += ["  " + line for line in self.span.excerpt().splitlines()]
        if self.help:
            lines.append(f"  = help: {visible(self.help)}")
        lines += [f"  = included at {visible(outer.place())}" for outer in (self.span.chain if self.span else ())]
        return "\n".join(lines)


class QtncError(Exception):
    """Root of all errors meant for the user."""

    exit_code: ClassVar[int] = 1

    def __init__(self, *diagnostics: Diagnostic | str) -> None:
        self.diagnostics = tuple(Diagnostic(d) if isinstance(d, str) else d for d in diagnostics)
        super().__init__("\n".join(d.render() for d in self.diagnostics))


class SpecError(QtncError):
    """The spec is wrong: its syntax, a name, a value, or what it selects."""


class ImportModelError(QtncError):
    """The model cannot be read: not ONNX, damaged, or outside what is supported."""


class DataError(QtncError):
    """Calibration or verification data does not fit the model."""


class PassError(QtncError):
    """A pass cannot do what it was asked to do."""


class BackendError(QtncError):
    """A backend cannot express the model."""


class OutputError(QtncError):
    """The output folder cannot be written or read."""


class PlanError(QtncError):
    """A recorded plan cannot be read, or was made for something else."""


class PluginError(QtncError):
    """Code of another package, or of a Python file that a spec uses, cannot be used."""


class WorkError(QtncError):
    """Units of work cannot be run side by side, or what comes of them cannot be kept."""


class MissingExtraError(QtncError, ImportError):
    """An optional part is not installed; the message names the extra to install."""


class UsageError(QtncError):
    """The command line is wrong."""

    exit_code = 2


class VerifyError(QtncError):
    """The compiled model is further from the original than the spec allows."""

    exit_code = 3


class InternalError(QtncError):
    """An invariant of ours is broken: a bug to report."""

    exit_code = 70


def did_you_mean(word: str, candidates: Iterable[str]) -> str | None:
    """``did you mean `x`?`` for the nearest candidates, or None when nothing is near; long names are near nothing."""
    if len(word) > LONGEST_NAME:
        return None
    known = [name for name in candidates if len(name) <= LONGEST_NAME]
    near = get_close_matches(word, known, n=3, cutoff=0.6)
    return "did you mean " + " or ".join(f"`{n}`" for n in near) + "?" if near else None
