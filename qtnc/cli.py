"""The command line: arguments in, files and exit codes out.

Data goes to stdout, messages and progress to stderr. Exit codes: 0 done, 1 the input is wrong, 2 usage, 3
verification failed, 70 our bug, 130 interrupted.
"""

import argparse
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from qtnc import __version__
from qtnc.errors import InternalError, QtncError, visible

INTERRUPTED = 130
BUG = "this is a bug in qtnc; please report it with the model and the spec"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    _streams()
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except QtncError as error:
        if isinstance(error, InternalError) and os.environ.get("QTNC_TRACEBACK"):
            raise
        for diagnostic in error.diagnostics:
            print(diagnostic.render(), file=sys.stderr)
        if isinstance(error, InternalError):
            print(f"{BUG}; QTNC_TRACEBACK=1 shows where", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _forget_stdout()  # the reader of our output left
        return 0
    except OSError as error:
        _forget_stdout()
        where = f": {visible(str(error.filename))}" if error.filename else ""
        print(f"error: {error.strerror or error}{where}", file=sys.stderr)
        return 1
    except MemoryError:
        print("error: out of memory", file=sys.stderr)
        return 1
    except Exception as error:
        if os.environ.get("QTNC_TRACEBACK"):
            raise
        message = f"error: internal error: {type(error).__name__}: {visible(str(error))}"
        print(f"{message}\n{BUG}; QTNC_TRACEBACK=1 shows where", file=sys.stderr)
        return InternalError.exit_code
    return code


def _streams() -> None:
    """Have all three streams, and print any name on them."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed before we began; the next file to be opened would take its place
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names hold what the terminal may not be able to print


def _forget_stdout() -> None:
    """What is buffered must not raise again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="qtnc", description="Compile ONNX models into tensor networks, counted honestly."
    )
    parser.add_argument("--version", action="version", version=f"qtnc {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    inspect = commands.add_parser("inspect", help="list the layers of a model by canonical name")
    inspect.add_argument("model", type=Path, metavar="MODEL")
    _format(inspect)
    inspect.set_defaults(run=_inspect)

    plan = commands.add_parser("plan", help="say what a compile would do to each layer, and why; write nothing")
    _inputs(plan)
    _format(plan)
    plan.add_argument("--json", dest="format", action="store_const", const="json", help="same as --format json")
    plan.set_defaults(run=_plan)

    build = commands.add_parser("compile", help="compile a model by a spec into a folder")
    _inputs(build)
    build.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="the folder to write")
    build.add_argument("--force", action="store_true", help="replace OUT if it is not empty")
    build.set_defaults(run=_compile)

    verify = commands.add_parser("verify", help="measure a compiled folder against the original again")
    verify.add_argument("out", type=Path, metavar="OUT")
    verify.add_argument("--model", type=Path, help="the original model, if it moved")
    _format(verify)
    verify.set_defaults(run=_verify)

    run = commands.add_parser("run", help="run the circuit layers of a compiled folder by sampling, in a simulator")
    run.add_argument("out", type=Path, metavar="OUT")
    run.add_argument(
        "--input", type=Path, required=True, metavar="FILE", help="an .npz file: rows `x`, or model inputs"
    )
    run.add_argument("--shots", type=int, required=True, metavar="N", help="shots of a row, half for each circuit")
    run.add_argument("--layer", metavar="NAME", help="run this layer only")
    run.add_argument("--rows", type=int, default=8, metavar="N", help="rows to run (default 8)")
    run.add_argument(
        "--noise", type=float, default=0.0, metavar="P", help="depolarising probability of a CX (default 0)"
    )
    run.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the sampling (default 0)")
    run.add_argument("--model", type=Path, help="the original model, if it moved")
    _format(run)
    run.set_defaults(run=_run)
    return parser


def _inputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL", help="an ONNX file")
    parser.add_argument("spec", type=Path, metavar="SPEC", help="a .qtn file")
    parser.add_argument("--stage", metavar="NAME", help="the stage of the spec to take; the last one by default")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="settle a bound size, or optimize, otherwise"
    )


def _format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=("text", "json"), default="text")


def _inspect(options: argparse.Namespace) -> int:
    from qtnc.compiler import prepare
    from qtnc.importers.onnx import read_model
    from qtnc.ir.layers import find_layers
    from qtnc.report.text import inspect_table

    layers = find_layers(prepare(read_model(options.model)))
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
        print(json.dumps(rows, indent=2))
    else:
        print(inspect_table(layers))
    return 0


def _plan(options: argparse.Namespace) -> int:
    from qtnc.compiler import plan
    from qtnc.report.text import plan_table

    planned = plan(options.model, options.spec, options.stage, options.set)
    print(json.dumps(planned.plan.to_json(), indent=2) if options.format == "json" else plan_table(planned.plan))
    return 0


def _compile(options: argparse.Namespace) -> int:
    from qtnc.compiler import compile_model
    from qtnc.errors import VerifyError
    from qtnc.report.text import plan_table

    compiled = compile_model(
        options.model, options.spec, options.output, stage=options.stage, force=options.force, settings=options.set
    )
    print(plan_table(compiled.plan))
    for verdict in compiled.verdicts:
        print("\n".join(verdict.lines()), file=sys.stderr)
    print(f"wrote {visible(str(options.output))}", file=sys.stderr)
    if not compiled.holds:
        print("error: verification failed; the folder is there to be looked at", file=sys.stderr)
    return 0 if compiled.holds else VerifyError.exit_code


def _verify(options: argparse.Namespace) -> int:
    from qtnc.errors import VerifyError
    from qtnc.verify.check import verify_folder

    verdicts = verify_folder(options.out, options.model)
    if options.format == "json":
        print(json.dumps([verdict.to_json() for verdict in verdicts], indent=2))
    else:
        for verdict in verdicts:
            print("\n".join(verdict.lines()))
    return 0 if all(verdict.holds for verdict in verdicts) else VerifyError.exit_code


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


if __name__ == "__main__":
    sys.exit(main())
