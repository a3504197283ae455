"""What several commands have: the kind of their list, and arguments that mean the same."""

import argparse
from pathlib import Path
from typing import Any

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
    plugins(parser)


def plugins(parser: argparse.ArgumentParser) -> None:
    """Whether code of other packages may run."""
    parser.add_argument(
        "--no-plugins", dest="plugins", action="store_false", help="refuse structures of other packages"
    )


def working(parser: argparse.ArgumentParser) -> None:
    """How fits are run."""
    group = parser.add_argument_group("work")
    group.add_argument("--jobs", type=_count, default=1, metavar="N", help="processes that fit layers (default 1)")
    group.add_argument("--no-cache", action="store_true", help="fit anew, and keep nothing; see `qtnc cache`")


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= MOST_JOBS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {MOST_JOBS}")
    return int(text)


def form(parser: argparse.ArgumentParser) -> None:
    """Text for people, or data."""
    parser.add_argument("--format", choices=("text", "json"), default="text")
