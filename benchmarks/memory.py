"""Peak anonymous memory of compiling a model of several gigabytes, stage by stage.

A chain of weight products of 2048 x 8192 and back is generated, its weights in a file beside it, and compiled in a
process of its own, whose anonymous memory and that of its workers is sampled: mapped files are not counted, for the
system can drop them at any moment. With --fold each product is scaled, and a rule makes every weight anew with its
scale in it. What verification takes is printed apart: it runs both models in onnxruntime and torch.
"""

import argparse
import json
import subprocess
import sys
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Lock, Thread
from time import perf_counter

import numpy as np
import onnx
from onnx import TensorProto, helper

from qtnc.compiler import compile_model
from qtnc.report.text import table
from qtnc.work.cache import Cache
from qtnc.work.work import Progress, Work

RUNS = ("verify", "time the whole")
"""Stages in which both models run."""

WIDTHS = (2048, 8192)
SPEC = """qtn 1
bind rows = 1
optimize memory
select odd = MatMul where name ~ "odd*"
rewrite odd -> {rule}
{emits}
"""
FOLD = """rule fold_scale {
    match   y = Mul(MatMul(x, w: const), s: const scalar)
    replace y = MatMul(x, w * s)
}
"""


def main() -> None:
    """Generate, compile, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=3.0, help="of weights (default 3)")
    parser.add_argument("--rule", default="lowrank(rank: 64)", help="what half of the layers become")
    parser.add_argument("--emit", nargs="+", default=["onnx"], choices=["onnx", "torch"])
    parser.add_argument("--fold", action="store_true", help="scale every product, and fold the scales by a rule")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--here", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        compile_here(options.here, options.jobs)
        return
    with TemporaryDirectory(prefix="qtnc-memory-") as name:
        folder = Path(name)
        layers = int(options.gigabytes * 1e9 / (4 * prod(WIDTHS))) + 1
        write_model(folder / "model.onnx", layers, scaled=options.fold)
        emits = "\n".join(f"emit {backend}" for backend in options.emit)
        spec = SPEC.format(rule=options.rule, emits=emits) + (FOLD if options.fold else "")
        (folder / "spec.qtn").write_text(spec)
        command = [sys.executable, __file__, "--here", name, "--jobs", str(options.jobs)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        peaks: dict[str, int] = json.loads(done.stdout)
        beside = (folder / "model.onnx.data").stat().st_size
    folded = ", scales folded" if options.fold else ""
    print(f"{beside / 1e9:.2f} GB of weights, {' and '.join(options.emit)}, {options.jobs} jobs{folded}")
    print(table(["stage", "anonymous memory", "of the weights"], [_row(s, p, beside) for s, p in peaks.items()]))
    compiling, running = (max(p for stage, p in peaks.items() if (stage in RUNS) == runs) for runs in (False, True))
    print(f"compile: {compiling / 1e9:.2f} GB; running both models, apart: {running / 1e9:.2f} GB")


def _row(stage: str, peak: int, beside: int) -> list[str]:
    return [stage, f"{peak / 1e6:,.0f} MB", f"{peak / beside:.2f}x"]


def write_model(path: Path, layers: int, *, scaled: bool) -> None:
    """Write a chain of products, each scaled by a half where asked; the weights go to the file one at a time."""
    rng = np.random.default_rng(0)
    nodes, weights, bytes_each = [], [], 4 * prod(WIDTHS)
    with path.with_name(f"{path.name}.data").open("wb") as beside:
        for k in range(layers):
            name = f"{'odd' if k % 2 else 'even'}_{k}"
            shape = WIDTHS[k % 2], WIDTHS[1 - k % 2]
            beside.write((rng.standard_normal(shape, np.float32) / np.float32(shape[0] ** 0.5)).tobytes())
            weight = TensorProto(name=f"{name}.weight", data_type=TensorProto.FLOAT, dims=shape)
            weight.data_location = TensorProto.EXTERNAL
            where = {"location": f"{path.name}.data", "offset": k * bytes_each, "length": bytes_each}
            weight.external_data.extend(onnx.StringStringEntryProto(key=a, value=str(b)) for a, b in where.items())
            weights.append(weight)
            made = f"h_{k}" if scaled else f"x_{k + 1}"
            nodes.append(helper.make_node("MatMul", [f"x_{k}", weight.name], [made], name))
            if scaled:
                weights.append(helper.make_tensor(f"{name}.scale", TensorProto.FLOAT, [], [0.5]))
                nodes.append(helper.make_node("Mul", [made, f"{name}.scale"], [f"x_{k + 1}"], f"{name}.scaled"))
    ends = [helper.make_tensor_value_info(f"x_{k}", TensorProto.FLOAT, ["rows", WIDTHS[k % 2]]) for k in (0, layers)]
    graph = helper.make_graph(nodes, "chain", ends[:1], ends[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)


def compile_here(folder: Path, jobs: int) -> None:
    """Compile in this process and print, as JSON, the peak of each stage."""
    peaks: dict[str, int] = {}
    now, done, lock = ["start"], Event(), Lock()

    def sample() -> None:
        with lock:
            peaks[now[0]] = max(peaks.get(now[0], 0), sum(anonymous(pid) for pid in family()))

    def watch() -> None:
        while not done.wait(0.05):
            sample()

    def enter(progress: Progress) -> None:
        sample()
        now[0] = progress.stage

    start = perf_counter()
    Thread(target=watch, daemon=True).start()
    work = Work(jobs, Cache(folder / "cache"), enter)
    compile_model(folder / "model.onnx", folder / "spec.qtn", folder / "out", work=work)
    done.set()
    print(f"{perf_counter() - start:.0f} s", file=sys.stderr)
    print(json.dumps(peaks))


def family() -> list[str]:
    """Process numbers of this process and of its children."""
    lists = (path.read_text() for path in Path("/proc/self/task").glob("*/children"))
    return ["self", *(pid for text in lists for pid in text.split())]


def anonymous(pid: str) -> int:
    """Bytes of a process's anonymous memory now; 0 of one that has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith(("RssAnon:", "RssShmem:")))


if __name__ == "__main__":
    main()
