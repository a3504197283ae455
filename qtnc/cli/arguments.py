"""What several commands have: the kind of their list, and arguments that mean the same."""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qtnc.plugins.allowed import Allowed

MOST_JOBS = 1024

Commands = Any
"""What argparse keeps commands in; the class has no public name."""


def inputs(parser: argparse.ArgumentParser) -> None:
    """Model, spec, stage and what is settled otherwise."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="an ONNX file")
    parser.add_argument("spec", type=Path, metavar="SPEC", help="a .qtn file")
    parser.add_argument("--stage", metavar="NAME", help="the stage of the spec to take; the last one by default")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="settle a bound size, a value or optimize otherwise",
    )
    code(parser)


def plugins(parser: argparse._ActionsContainer) -> None:
    """Whether code of other packages may run."""
    parser.add_argument(
        "--no-plugins", dest="plugins", action="store_false", help="refuse structures and passes of other packages"
    )


def code(parser: argparse.ArgumentParser, *, runs: bool = True) -> None:
    """What code of others may run: ``runs`` says whether Python files of a spec do where nothing is said."""
    group = parser.add_argument_group("code of others")
    plugins(group)
    given = group.add_mutually_exclusive_group()
    given.add_argument(
        "--no-python",
        dest="python",
        action="store_const",
        const="refuse",
        help="refuse `use` in the spec, and with it all code of others",
    )
    if not runs:
        given.add_argument(
            "--python", dest="python", action="store_const", const="run", help="run the Python files that the spec uses"
        )
    parser.set_defaults(python="run" if runs else "leave")


def allowed(options: argparse.Namespace) -> "Allowed":
    """What code of others the command line allows."""
    from qtnc.compiler import ANYTHING

    return replace(ANYTHING, plugins=options.plugins, python=options.python)


def working(parser: argparse.ArgumentParser) -> None:
    """How fits are run."""
    group = parser.add_argument_group("work")
    group.add_argument(
        "--jobs", type=count(MOST_JOBS), default=1, metavar="N", help="processes that fit layers (default 1)"
    )
    group.add_argument("--no-cache", action="store_true", help="fit anew, and keep nothing; see `qtnc cache`")


def count(most: int) -> Callable[[str], int]:
    """A reader of numbers from 1 to ``most``."""

    def read(text: str) -> int:
        if not text.isdecimal() or not 0 < int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {most}")
        return int(text)

    return read


def form(parser: argparse.ArgumentParser) -> None:
    """Text for people, or data."""
    parser.add_argument("--format", choices=("text", "json"), default="text")
