"""``qtnc run``: circuit layers by sampling."""

import argparse
import json
from pathlib import Path

from qtnc.cli.arguments import Commands, form


def add(commands: Commands) -> None:
    """Say what the command takes."""
    parser = commands.add_parser("run", help="run the circuit layers of a compiled folder by sampling, in a simulator")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument(
        "--input", type=Path, required=True, metavar="FILE", help="an .npz file: rows `x`, or model inputs"
    )
    parser.add_argument("--shots", type=int, required=True, metavar="N", help="shots of a row, half for each circuit")
    parser.add_argument("--layer", metavar="NAME", help="run this layer only")
    parser.add_argument("--rows", type=int, default=8, metavar="N", help="rows to run (default 8)")
    parser.add_argument(
        "--noise", type=float, default=0.0, metavar="P", help="depolarising probability of a CX (default 0)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the sampling (default 0)")
    parser.add_argument("--model", type=Path, help="the original model, if it moved")
    form(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from qtnc.compiler import run_circuits
    from qtnc.run.report import run_json, run_table

    runs = run_circuits(
        options.out,
        options.input,
        options.model,
        shots=options.shots,
        layer=options.layer,
        rows=options.rows,
        seed=options.seed,
        noise=options.noise,
    )
    print(json.dumps(run_json(runs), indent=2) if options.format == "json" else run_table(runs))
    return 0
