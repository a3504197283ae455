"""``qtnc structures``: what a layer may become."""

import argparse
import json

from qtnc.cli.arguments import Commands, form, plugins


def add(commands: Commands) -> None:
    """Say what the command takes."""
    parser = commands.add_parser("structures", help="list the structures, their options and where they come from")
    plugins(parser)
    form(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from qtnc.report.tools import structures_json, structures_table
    from qtnc.structures.listing import list_structures
    from qtnc.structures.plugins import Structures

    found = list_structures(Structures(options.plugins))
    print(json.dumps(structures_json(found), indent=2) if options.format == "json" else structures_table(found))
    return 0
