"""``qtnc why``: what every statement of a spec is to one layer."""

import argparse
import json

from qtnc.cli.arguments import Commands, allowed, form, inputs


def add(commands: Commands) -> None:
    """Say what the command takes."""
    parser = commands.add_parser("why", help="say of every statement of a spec why it concerns a layer, or why not")
    inputs(parser)
    parser.add_argument("layer", metavar="LAYER", help="a canonical name, as `qtnc inspect` prints it")
    form(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from qtnc.compiler import why
    from qtnc.report.tools import why_json, why_text

    answer = why(options.model, options.spec, options.layer, options.stage, options.set, allowed=allowed(options))
    print(json.dumps(why_json(answer), indent=2) if options.format == "json" else why_text(answer))
    return 0
