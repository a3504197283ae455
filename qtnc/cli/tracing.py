"""A trace of rewriting on stderr, or as data in a file."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qtnc.look.tracing import Trace


def tracing(parser: argparse._ActionsContainer) -> None:
    """Whether attempts to rewrite are shown."""
    parser.add_argument(
        "--trace", choices=("rewrite",), help="say on stderr every attempt of every rule: replaced, declined, no match"
    )
    parser.add_argument(
        "--trace-file", type=Path, metavar="FILE", help="write the attempts there instead, a line of JSON each"
    )


@contextmanager
def trace_of(options: argparse.Namespace) -> Iterator["Trace | None"]:
    """The trace that the command line asks for, its file open for as long as the block lasts."""
    from qtnc.cli.progress import say
    from qtnc.look.tracing import Trace

    if options.trace_file:
        with options.trace_file.open("w", encoding="utf-8") as file:
            yield Trace(lambda line: print(line, file=file), as_data=True)
    else:
        yield Trace(say) if options.trace else None
