"""``qtnc opt``: passes on a model as it lies in a file."""

import argparse
from pathlib import Path

from qtnc.cli.arguments import Commands, plugins
from qtnc.cli.tracing import trace_of, tracing
from qtnc.errors import UsageError

RULES = "apply-rules,apply-network-rules"
"""What runs where rules are given and no pipeline is."""


def add(commands: Commands) -> None:
    """Say what the command takes."""
    parser = commands.add_parser("opt", help="run passes that need no plan on an IR file")
    parser.add_argument("input", type=Path, metavar="INPUT", help="an .onnx or .qir file")
    parser.add_argument("--pass-pipeline", metavar="PASSES", help="as in `pass,pass{option=1}`")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="OUT", help="an .onnx or .qir file to write, instead of text to stdout"
    )
    parser.add_argument(
        "--use", type=Path, action="append", default=[], metavar="FILE", help="run this Python file for its passes"
    )
    parser.add_argument(
        "--rules", type=Path, metavar="FILE", help="a .qtn file whose rules are applied; alone or as apply-rules"
    )
    plugins(parser)
    tracing(parser)
    parser.add_argument("--force", action="store_true", help="replace OUT if it is there")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from qtnc.ir.text.printer import print_model
    from qtnc.look.look import Look
    from qtnc.look.opt import check_output, known_passes, read_ir, read_rules, run_passes, write_ir

    if options.output:
        check_output(options.output, force=options.force)
    if options.pass_pipeline is None and options.rules is None:
        raise UsageError("nothing to run: name passes by --pass-pipeline, or rules by --rules")
    known = known_passes(options.use, plugins=options.plugins)
    rules = read_rules(options.rules, plugins=options.plugins) if options.rules else ()
    pipeline = RULES if options.pass_pipeline is None else options.pass_pipeline
    with trace_of(options) as trace:
        model = run_passes(read_ir(options.input), pipeline, known, {"rules": rules, **Look(trace=trace).given})
    if options.output:
        write_ir(model, options.output)
    else:
        print(print_model(model), end="")
    return 0
