"""The command line: arguments in, files and exit codes out.

Data goes to stdout, messages and progress to stderr. Exit codes: 0 done, 1 the input is wrong, 2 usage, 3
verification failed, 70 our bug, 130 interrupted.
"""

import argparse
import io
import os
import sys
from collections.abc import Sequence

from qtnc import __version__
from qtnc.cli import (
    benching,
    caching,
    checking,
    compiling,
    diffing,
    formatting,
    inspecting,
    optimising,
    passes,
    planning,
    reducing,
    running,
    serving,
    structures,
    verifying,
    why,
)
from qtnc.cli.reproducer import smaller, write_reproducer
from qtnc.errors import InternalError, PluginError, QtncError, printable, visible
from qtnc.plugins.loaded import forget_loaded

INTERRUPTED = 130
LONGEST_PATH = 1000
"""Characters of a path in a message."""
LONGEST_REASON = 300
"""Characters of what code of others says as it fails."""

BUG = "this is a bug in {}; please report it"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    _streams()
    forget_loaded()
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except QtncError as error:
        if isinstance(error, InternalError) and os.environ.get("QTNC_TRACEBACK"):
            raise
        said = "\n".join(diagnostic.render() for diagnostic in error.diagnostics)
        if isinstance(error, InternalError):
            return _own_up(said, error, options, arguments)
        print(said, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _forget_stdout()  # the reader of our output left
        return 0
    except OSError as error:
        _forget_stdout()
        where = f": {printable(str(error.filename), LONGEST_PATH)}" if error.filename else ""
        print(f"error: {error.strerror or error}{where}", file=sys.stderr)
        return 1
    except MemoryError:
        print("error: out of memory", file=sys.stderr)
        return 1
    except Exception as error:
        if os.environ.get("QTNC_TRACEBACK"):
            raise
        said = f"error: internal error: {type(error).__name__}: {visible(str(error))}"
        return _own_up(said, error, options, arguments)
    return code


def _own_up(said: str, error: BaseException, options: argparse.Namespace, arguments: Sequence[str] | None) -> int:
    """Say whose bug it is, for code of others fails too, and leave what a report of it needs; return the exit code."""
    from qtnc.plugins.blame import blamed

    blame = blamed(error)
    if blame is not None and blame.place:  # whoever wrote the spec wrote the file: there is nobody to report to
        print(f"{visible(blame.place)}: error: {_root(error)}", file=sys.stderr)
        print("  = help: repair the file; with QTNC_TRACEBACK=1 the whole traceback is shown", file=sys.stderr)
        return PluginError.exit_code
    print(said, file=sys.stderr)
    given = sys.argv[1:] if arguments is None else arguments
    folder = write_reproducer(error, options, given)
    bug = BUG.format(blame.package if blame is not None else "qtnc")
    print(bug + (f" with {visible(str(folder))}, which has all that is needed" if folder else ""), file=sys.stderr)
    if further := smaller(options, given):
        print(f"it may be made small first: {visible(further)}", file=sys.stderr)
    return InternalError.exit_code


def _root(error: BaseException) -> str:
    """What went wrong in the code of others, without what qtnc said of it."""
    while isinstance(error, InternalError) and error.__cause__ is not None:
        error = error.__cause__
    return printable(f"{type(error).__name__}: {error}", LONGEST_REASON)


def _streams() -> None:
    """Have all three streams, and print any name on them."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed before we began; the next file to be opened would take its place
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names hold what the terminal may not be able to print


def _forget_stdout() -> None:
    """What is buffered must not raise again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="qtnc", description="Compile ONNX models into tensor networks, counted honestly."
    )
    parser.add_argument("--version", action="version", version=f"qtnc {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in (
        inspecting,
        checking,
        formatting,
        why,
        planning,
        compiling,
        verifying,
        benching,
        diffing,
        running,
        optimising,
        reducing,
        passes,
        structures,
        caching,
        serving,
    ):
        command.add(commands)
    return parser
