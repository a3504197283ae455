"""``qtnc lsp``: the language server."""

import argparse
from pathlib import Path

from qtnc.cli.arguments import Commands


def add(commands: Commands) -> None:
    """Say what the command takes."""
    parser = commands.add_parser("lsp", help="serve editors: specs as they are typed, over stdin and stdout")
    parser.add_argument("--stdio", action="store_true", help="the only way there is; editors say it")
    parser.add_argument("--log", type=Path, metavar="FILE", help="note what fails, with tracebacks")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from qtnc.lsp.serve import serve

    return serve(options.log)
