"""``qtnc passes``: what there is."""

import argparse
import json
from dataclasses import asdict

from qtnc.cli.arguments import Commands, form, plugins


def add(commands: Commands) -> None:
    """Say what the command takes."""
    parser = commands.add_parser("passes", help="list the passes, what they take and where they come from")
    plugins(parser)
    form(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from qtnc.plugins.entry import Passes
    from qtnc.report.tools import passes_table
    from qtnc.road.listing import list_passes

    found = list_passes(Passes(options.plugins))
    print(json.dumps([asdict(entry) for entry in found], indent=2) if options.format == "json" else passes_table(found))
    return 0
