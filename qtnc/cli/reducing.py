"""``qtnc reduce``: a failure made small."""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from qtnc.cli.arguments import Commands, count
from qtnc.errors import visible

if TYPE_CHECKING:
    from qtnc.reduce.reduction import Reduction

INTERRUPTED = 130
MOST_TRIALS = 1_000_000
LONGEST = 86_400.0
"""Seconds of one trial."""


def add(commands: Commands) -> None:
    """Say what the command takes."""
    parser = commands.add_parser("reduce", help="make a model and a spec small while a command fails with them")
    parser.add_argument("model", type=Path, metavar="MODEL", help="an .onnx or .qir file")
    parser.add_argument("spec", type=Path, nargs="?", metavar="SPEC", help="a .qtn file; none for opt")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="the folder to write")
    parser.add_argument("--force", action="store_true", help="replace OUT if it is not empty")
    failure = parser.add_argument_group("the failure")
    failure.add_argument("--command", choices=("compile", "plan", "check", "opt"), help="what fails (default compile)")
    failure.add_argument(
        "--arguments", type=shlex.split, default=[], metavar="TEXT", help="its further arguments, as in a shell"
    )
    failure.add_argument("--use", type=Path, action="append", default=[], metavar="FILE", help="Python files, for opt")
    failure.add_argument("--exit", type=int, metavar="CODE", help="its exit code (default: as at first)")
    failure.add_argument("--match", metavar="TEXT", help="what it says (default: what is wrong at first)")
    effort = parser.add_argument_group("effort")
    effort.add_argument("--timeout", type=_seconds, metavar="SECONDS", help="that one trial may take")
    effort.add_argument(
        "--trials", type=count(MOST_TRIALS), default=1000, metavar="N", help="that are made at most (default 1000)"
    )
    parser.set_defaults(run=_run)


def _seconds(text: str) -> float:
    """Seconds above none."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds <= LONGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds up to {LONGEST:,.0f}")
    return seconds


def _run(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from qtnc.cli.progress import say
    from qtnc.errors import UsageError
    from qtnc.reduce.reduce import reduce

    command = options.command or ("compile" if options.spec else "opt")
    if (options.spec is None) != (command == "opt"):
        raise UsageError(f"{command} takes {'a spec' if options.spec is None else 'no spec'}")
    bar = tqdm(disable=None, leave=False, bar_format="{desc}")

    def told(search: "Reduction") -> None:
        bar.set_description_str(f"{search.done} trials: {search.best.size()}")

    try:
        done = reduce(
            options.model,
            options.spec,
            options.output,
            command=command,
            more=options.arguments,
            match=options.match,
            code=options.exit,
            seconds=options.timeout,
            trials=options.trials,
            use=options.use,
            force=options.force,
            told=told,
        )
    finally:
        bar.close()
    print(f"before: {done.before.size()}")
    print(f"after {done.trials} trials: {done.after.size()}")
    print(f"exit code {done.outcome.code}: {visible(done.outcome.shown)}")
    say(f"wrote {visible(str(options.output))}: {visible(done.line)}")
    return INTERRUPTED if done.interrupted else 0
