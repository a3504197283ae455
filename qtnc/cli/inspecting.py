"""``qtnc inspect``: the layers of a model."""

import argparse
import json
from pathlib import Path

from qtnc.cli.arguments import Commands, form


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
    from qtnc.compiler import prepare
    from qtnc.importers.onnx import read_model
    from qtnc.ir.layers import find_layers
    from qtnc.look.spectra import spectrum_of
    from qtnc.report.text import inspect_table
    from qtnc.report.tools import spectra_table

    layers = find_layers(prepare(read_model(options.model)))
    spectra = [spectrum_of(layer) for layer in layers] if options.spectra else []
    if options.format == "json":
        rows = [
            {
                "layer": x.name,
                "op": x.op,
                "shape": x.shape,
                "dtype": x.dtype.name,
                "elements": x.elements,
                "bytes": x.bytes,
            }
            for x in layers
        ]
        for row, spectrum in zip(rows, spectra, strict=False):
            row["spectrum"] = spectrum.to_json()
        print(json.dumps(rows, indent=2))
    else:
        print(spectra_table(layers, spectra) if options.spectra else inspect_table(layers))
    return 0
