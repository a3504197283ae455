"""One session over stdin and stdout."""

import logging
import os
import sys
from pathlib import Path
from typing import Final

from qtnc.errors import Diagnostic, MissingExtraError, UsageError, visible

EXTRA: Final = "the language server needs pygls: pip install 'qtnc[lsp]'"
BY_HAND: Final = "editors start it by themselves once they are told of it; `qtnc check` says what is wrong with a spec"


class _OneLine(logging.Formatter):
    """A line without a traceback, for those who look at what the server says."""

    def format(self, record: logging.LogRecord) -> str:
        return f"qtnc lsp: {visible(record.getMessage().splitlines()[0] if record.getMessage() else '')}"


def serve(log: Path | None = None) -> int:
    """Serve until the editor leaves, and say as the protocol has it whether it had said so: 0 if it had, else 1.

    Parameters
    ----------
    log
        Where failures are noted with their tracebacks; on stderr they are a line each.

    Raises
    ------
    UsageError
        Somebody types the command by hand.
    MissingExtraError
        pygls is not installed.
    """
    if sys.stdin.isatty():
        raise UsageError(Diagnostic("an editor talks to the server, and this is a terminal", help=BY_HAND))
    try:
        from qtnc.lsp.features import make_server
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("pygls", "lsprotocol"):
            raise
        raise MissingExtraError(EXTRA) from error
    _note(log)
    # What libraries print is no message of the protocol: it goes where failures go.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    server = make_server()
    try:
        server.start_io(sys.stdin.buffer, answers)
    except (ValueError, OverflowError):
        logging.getLogger("qtnc.lsp").error("a message has a length that is none")
    return 0 if server.stopped else 1


def _note(log: Path | None) -> None:
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    handlers[0].setFormatter(_OneLine())
    if log:
        handlers.append(logging.FileHandler(log, encoding="utf-8", errors="backslashreplace"))
    logging.basicConfig(level=logging.WARNING, handlers=handlers)
