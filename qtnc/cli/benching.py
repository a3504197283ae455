"""``qtnc bench``: how fast a compiled folder is, beside the original."""

import argparse
import json
from pathlib import Path

from qtnc.cli.arguments import Commands, form


def add(commands: Commands) -> None:
    """Say what the command takes."""
    parser = commands.add_parser("bench", help="time a compiled folder beside the original, end to end")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--decode", type=Path, metavar="OUT", help="the folder with a past, where OUT has none")
    parser.add_argument("--model", type=Path, help="the original model, if it moved")
    parser.add_argument("--decode-model", type=Path, metavar="MODEL", help="the original of --decode, if it moved")
    parser.add_argument("--rows", type=_count, default=1, metavar="N", help="samples or sequences in a call (1)")
    parser.add_argument("--tokens", type=_count, default=128, metavar="N", help="length of a sequence, or prompt (128)")
    parser.add_argument("--new", type=_count, default=32, metavar="N", help="tokens that a decoder adds (32)")
    parser.add_argument("--threads", type=_count, default=1, metavar="N", help="threads that each form may take (1)")
    parser.add_argument("--seconds", type=_seconds, default=5.0, metavar="S", help="time given to each table (5)")
    form(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from qtnc.bench.cases import Asked, cases_of
    from qtnc.bench.forms import forms_of
    from qtnc.report.speed import speed_table

    forms = forms_of(options.out, options.model, options.threads)
    decode = forms_of(options.decode, options.decode_model, options.threads) if options.decode else None
    asked = Asked(options.rows, options.tokens, options.new, options.threads, options.seconds)
    cases = [case.to_json() for case in cases_of(forms, decode, asked)]
    missing = {**forms.missing, **(decode.missing if decode else {})}
    if options.format == "json":
        print(json.dumps({"format": 1, "threads": asked.threads, "cases": cases, "missing": missing}, indent=2))
    else:
        print(speed_table(cases, missing))
    return 0


def _count(text: str) -> int:
    value = int(text)
    if not 0 < value < 1 << 20:
        raise argparse.ArgumentTypeError(f"{text} is no count from 1 to {1 << 20:,}")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is no time from 0 to 3,600 seconds")
    return value
