"""``qtnc fmt``: specs in their one form."""

import argparse
import sys
from pathlib import Path

from qtnc.cli.arguments import Commands


def add(commands: Commands) -> None:
    """Say what the command takes."""
    parser = commands.add_parser("fmt", help="bring specs into their one form, comments and lines kept")
    parser.add_argument("specs", type=Path, nargs="+", metavar="SPEC", help=".qtn files; `-` is stdin to stdout")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is not in the form")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from qtnc.errors import visible
    from qtnc.output.single import write_text
    from qtnc.source import Source
    from qtnc.spec.file import read_text
    from qtnc.spec.form import formatted

    changed = 0
    for path in options.specs:
        piped = str(path) == "-"
        text = sys.stdin.read() if piped else read_text(path)
        form = formatted(Source(str(path), text))
        if piped and not options.check:
            print(form, end="")
        elif form != text:
            changed += 1
            if not options.check:
                write_text(path, form)
            print(f"{visible(str(path))}: {'not in the form' if options.check else 'formatted'}", file=sys.stderr)
    return 1 if options.check and changed else 0
