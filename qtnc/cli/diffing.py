"""``qtnc diff``: two compiled folders of one model."""

import argparse
import json
from pathlib import Path

from qtnc.cli.arguments import Commands, form


def add(commands: Commands) -> None:
    """Say what the command takes."""
    parser = commands.add_parser("diff", help="say what a second folder, or stage, bought and cost beside a first")
    parser.add_argument("first", type=Path, metavar="OUT")
    parser.add_argument("second", type=Path, metavar="OUT")
    form(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from qtnc.look.diff import diff
    from qtnc.report.diff import diff_json, diff_text

    found = diff(options.first, options.second)
    print(json.dumps(diff_json(found), indent=2) if options.format == "json" else diff_text(found))
    return 0
