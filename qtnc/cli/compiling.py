"""``qtnc compile``: a model by a spec into a folder."""

import argparse
from pathlib import Path

from qtnc.cli.arguments import Commands, allowed, inputs, working
from qtnc.cli.tracing import trace_of, tracing
from qtnc.errors import visible


def add(commands: Commands) -> None:
    """Say what the command takes."""
    parser = commands.add_parser("compile", help="compile a model by a spec into a folder")
    inputs(parser)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="the folder to write")
    parser.add_argument("--force", action="store_true", help="replace OUT if it is not empty")
    parser.add_argument("--plan", type=Path, metavar="PLAN", help="obey this plan.json instead of planning anew")
    working(parser)
    passes = parser.add_argument_group("passes")
    passes.add_argument("--pass-pipeline", metavar="PASSES", help="run these instead, as in `pass,pass{option=1}`")
    passes.add_argument(
        "--disable-pass", metavar="NAME", action="append", default=[], help="leave a pass out; may be repeated"
    )
    look = parser.add_argument_group("looking inside")
    look.add_argument(
        "--print-ir-after",
        metavar="PASS",
        nargs="?",
        const="all",
        action="append",
        default=[],
        help="write the IR after the pass (=all, or nothing: after every pass) as ONNX and as text; may be repeated",
    )
    look.add_argument("--ir-dir", type=Path, metavar="DIR", help="where to write it (default OUT.ir)")
    look.add_argument(
        "--verify-each", action="store_true", help="run the model after every pass; end at one that fails"
    )
    tracing(look)
    look.add_argument("--timing", action="store_true", help="say on stderr how long each stage took")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from qtnc.cli.progress import say, work_of
    from qtnc.compiler import compile_model
    from qtnc.errors import UsageError, VerifyError
    from qtnc.look.look import Look
    from qtnc.report.text import plan_table
    from qtnc.report.tools import timing_table

    if options.ir_dir and not options.print_ir_after:
        raise UsageError("--ir-dir says where the IR goes, and nothing says after which pass: add --print-ir-after")
    with work_of(options) as work, trace_of(options) as trace:
        look = Look(tuple(options.print_ir_after), options.ir_dir, options.verify_each, say, trace)
        compiled = compile_model(
            options.model,
            options.spec,
            options.output,
            stage=options.stage,
            force=options.force,
            settings=options.set,
            pipeline=options.pass_pipeline,
            without=options.disable_pass,
            look=look,
            work=work,
            recorded=options.plan,
            allowed=allowed(options),
        )
    print(plan_table(compiled.plan))
    for verdict in compiled.verdicts:
        say("\n".join(verdict.lines()))
    if options.timing:
        say(timing_table(compiled.laps))
    if options.print_ir_after:
        say(f"wrote {visible(str(look.folder(options.output)))}")
    say(f"wrote {visible(str(options.output))}")
    if not compiled.holds:
        say("error: verification failed; the folder is there to be looked at")
    return 0 if compiled.holds else VerifyError.exit_code
