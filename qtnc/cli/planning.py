"""``qtnc plan``: what a compile would do."""

import argparse
import json

from qtnc.cli.arguments import Commands, allowed, form, inputs, working
from qtnc.cli.tracing import trace_of, tracing


def add(commands: Commands) -> None:
    """Say what the command takes."""
    parser = commands.add_parser("plan", help="say what a compile would do to each layer, and why; write nothing")
    inputs(parser)
    form(parser)
    working(parser)
    tracing(parser)
    parser.add_argument("--json", dest="format", action="store_const", const="json", help="same as --format json")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from qtnc.cli.progress import work_of
    from qtnc.compiler import plan
    from qtnc.look.look import Look
    from qtnc.report.text import plan_table

    with work_of(options) as work, trace_of(options) as trace:
        planned = plan(
            options.model,
            options.spec,
            options.stage,
            options.set,
            work,
            allowed=allowed(options),
            look=Look(trace=trace),
        )
    print(json.dumps(planned.plan.to_json(), indent=2) if options.format == "json" else plan_table(planned.plan))
    return 0
