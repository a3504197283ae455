"""``qtnc inspect``: the layers of a model."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtnc.cli.arguments import Commands, form

if TYPE_CHECKING:
    from qtnc.look.facts import LayerFacts


def add(commands: Commands) -> None:
    """Say what the command takes."""
    parser = commands.add_parser("inspect", help="list the layers of a model by canonical name")
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument(
        "--spectra", action="store_true", help="add what tells which layers will compress; takes an SVD a layer"
    )
    form(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from qtnc.compiler import inspect
    from qtnc.report.text import inspect_table
    from qtnc.report.tools import spectra_table

    layers = inspect(options.model, spectra=options.spectra)
    if options.format == "json":
        print(json.dumps([_row(layer) for layer in layers], indent=2))
    else:
        print(spectra_table(layers) if options.spectra else inspect_table(layers))
    return 0


def _row(layer: "LayerFacts") -> dict[str, Any]:
    row = {"layer": layer.name, **asdict(layer)}
    del row["name"], row["spectrum"]
    return row | {"spectrum": layer.spectrum.to_json()} if layer.spectrum else row
