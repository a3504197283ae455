"""``qtnc verify``: a compiled folder against the original."""

import argparse
import json
from pathlib import Path

from qtnc.cli.arguments import Commands, form


def add(commands: Commands) -> None:
    """Say what the command takes."""
    parser = commands.add_parser("verify", help="measure a compiled folder against the original again")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--model", type=Path, help="the original model, if it moved")
    form(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from qtnc.errors import VerifyError
    from qtnc.verify.check import verify_folder

    verdicts = verify_folder(options.out, options.model)
    if options.format == "json":
        print(json.dumps([verdict.to_json() for verdict in verdicts], indent=2))
    else:
        for verdict in verdicts:
            print("\n".join(verdict.lines()))
    return 0 if all(verdict.holds for verdict in verdicts) else VerifyError.exit_code
