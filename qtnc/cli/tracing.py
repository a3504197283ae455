"""A trace of rewriting on stderr, or as data in a file."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from qtnc.errors import Diagnostic, OutputError, UsageError

if TYPE_CHECKING:
    from qtnc.look.tracing import Trace


ENDING = ".jsonl"


def tracing(parser: argparse._ActionsContainer) -> None:
    """Whether attempts to rewrite are shown."""
    parser.add_argument(
        "--trace", choices=("rewrite",), help="say on stderr every attempt of every rule: replaced, declined, no match"
    )
    parser.add_argument(
        "--trace-rule", action="append", default=[], metavar="NAME", help="of this rule alone; may be repeated"
    )
    parser.add_argument(
        "--trace-file", type=Path, metavar="FILE", help="write them into a .jsonl file instead, a line of JSON each"
    )


@contextmanager
def trace_of(options: argparse.Namespace) -> Iterator["Trace | None"]:
    """The trace that the command line asks for, its file open for as long as the block lasts."""
    from qtnc.cli.progress import say
    from qtnc.look.tracing import Trace

    if options.trace_file:
        if options.trace_file.suffix != ENDING:  # whatever else it names is somebody's
            message = f"a trace is written to a file that ends in {ENDING}"
            raise UsageError(Diagnostic(message, place=str(options.trace_file)))
        try:
            file = options.trace_file.open("w", encoding="utf-8")
        except OSError as error:
            message = f"cannot be written: {error.strerror or error}"
            raise OutputError(Diagnostic(message, place=str(options.trace_file))) from error
        with file:
            trace = Trace(lambda line: print(line, file=file), as_data=True, only=options.trace_rule)
            yield trace
    else:
        trace = Trace(say, only=options.trace_rule)
        yield trace if options.trace or options.trace_rule else None
    for line in trace.untried():
        say(line)
