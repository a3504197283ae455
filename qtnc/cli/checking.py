"""``qtnc check``: a spec, alone or against a model."""

import argparse
import json
import sys
from pathlib import Path

from qtnc.cli.arguments import Commands, allowed, code, form


def add(commands: Commands) -> None:
    """Say what the command takes."""
    parser = commands.add_parser("check", help="say all that is wrong with a spec, and what it selects; no numerics")
    parser.add_argument("model", type=Path, nargs="?", metavar="MODEL", help="an ONNX file to check it against")
    parser.add_argument("spec", type=Path, metavar="SPEC", help="a .qtn file")
    parser.add_argument("--stage", metavar="NAME", help="the stage of the spec to take; the last one by default")
    code(parser, runs=False)
    form(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from qtnc.compiler import check
    from qtnc.look.check import not_run
    from qtnc.report.tools import check_json, check_text

    found = check(options.spec, options.model, options.stage, allowed=allowed(options))
    print(json.dumps(check_json(found), indent=2) if options.format == "json" else check_text(found))
    for note in not_run(found.spec):
        print(note.render("note"), file=sys.stderr)
    return 0
