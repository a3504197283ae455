"""What several commands have: the kind of their list, and arguments that mean the same."""

import argparse
from pathlib import Path
from typing import Any

Commands = Any
"""What argparse keeps commands in; the class has no public name."""


def inputs(parser: argparse.ArgumentParser) -> None:
    """Model, spec and stage."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="an ONNX file")
    parser.add_argument("spec", type=Path, metavar="SPEC", help="a .qtn file")
    parser.add_argument("--stage", metavar="NAME", help="the stage of the spec to take; the last one by default")


def form(parser: argparse.ArgumentParser) -> None:
    """Text for people, or data."""
    parser.add_argument("--format", choices=("text", "json"), default="text")
