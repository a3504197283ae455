"""Compile MiniLM-L6-v2 by its spec and print it beside what one would do instead, at equal bytes.

Every compile runs in a process of its own, on as many cores as it is given, and prints the seconds from its start to
its end and the peak of its anonymous memory: mapped files are not counted, for they can be dropped at any moment.
"""

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from time import perf_counter

import model
import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import QuantType, quantize_dynamic
from sentences import SENTENCES
from tokenizers import Tokenizer

from qtnc.compiler import compile_model
from qtnc.report.text import table

HERE = Path(__file__).resolve().parent
SPEC = HERE / "minilm.qtn"

BASELINE = r"""qtn 1
bind batch = 1, seq = 64
data calib = npz("{folder}/calib.npz")
optimize memory
select inner = MatMul where name ~ "encoder.layer.*"
rewrite inner -> {rule}
emit onnx
"""

BASELINES = {
    "plain SVD": "lowrank(bytes: {share:.4f}%)",
    "whitened SVD": "lowrank(bytes: {share:.4f}%) on calib",
}


@dataclass(frozen=True)
class Entry:
    """One row of the table; seconds and memory are those of its compile."""

    name: str
    file: Path
    parameters: int
    seconds: float | None = None
    memory: int | None = None


def anonymous() -> int:
    """Bytes of this process's anonymous memory now."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


def compile_here(source: Path, spec: Path, out: Path) -> None:
    """Compile in this process, and print parameters, bytes of the layers before and after, seconds and peak memory."""
    peak, done = [anonymous()], Event()

    def watch() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], anonymous())

    watcher = Thread(target=watch)
    watcher.start()
    start = perf_counter()
    plan = compile_model(source, spec, out, force=True).plan
    seconds = perf_counter() - start
    done.set()
    watcher.join()
    before, after = sum(x.original_bytes for x in plan.layers), sum(x.bytes for x in plan.layers)
    print(plan.model_parameters, plan.parameters, before, after, seconds, peak[0])


def compiled(name: str, source: Path, spec: Path, out: Path) -> tuple[Entry, int, float]:
    """Compile in a process of its own: the row, the original's parameters, the share of bytes that layers keep."""
    command = [sys.executable, __file__, "--compile", str(source), str(spec), str(out)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    original, parameters, before, after = (int(word) for word in said[:4])
    entry = Entry(name, out / "onnx" / "model.onnx", parameters, float(said[4]), int(said[5]))
    return entry, original, after / before


def int8(source: Path, folder: Path) -> Path:
    """Round the original's weight products to int8 by onnxruntime's own tool."""
    clean, out = folder / "clean.onnx", folder / "int8.onnx"
    proto = onnx.load(source)
    del proto.graph.value_info[:]  # the tool infers shapes anew
    onnx.save(proto, clean)
    quantize_dynamic(clean, out, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul"])
    clean.unlink()
    return out


def embeddings(file: Path) -> np.ndarray:
    """Mean-pooled states of the sentences, of unit length (sentences, width)."""
    tokenizer = Tokenizer.from_file(str(model.folder() / "tokenizer.json"))
    tokenizer.enable_padding()
    encoded = tokenizer.encode_batch(list(SENTENCES))
    ids, mask = (np.array([getattr(e, k) for e in encoded], np.int64) for k in ("ids", "attention_mask"))
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    states = session.run(["states"], {"input_ids": ids, "attention_mask": mask})[0]
    pooled = (states * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
    return np.asarray(pooled / np.linalg.norm(pooled, axis=1, keepdims=True))


def print_table(entries: list[Entry]) -> None:
    """Print a line an entry; the first is the original."""
    size, truth = entries[0].file.stat().st_size, embeddings(entries[0].file)
    rows = []
    for entry in entries:
        cosines = np.sum(truth * embeddings(entry.file), axis=1)
        taken = entry.file.stat().st_size
        rows.append(
            [
                entry.name,
                f"{entry.parameters:,}",
                f"{taken:,}",
                f"{taken / size:.1%}",
                f"{cosines.mean():.3f}",
                f"{cosines.min():.3f}",
                "" if entry.seconds is None else f"{entry.seconds:.1f}",
                "" if entry.memory is None else f"{entry.memory / 1e6:,.0f} MB",
            ]
        )
    header = ["model", "parameters", "bytes", "share", "cosine", "least", "seconds", "memory"]
    print(table(header, rows))


def main() -> None:
    """Export, compile, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("out-minilm"), metavar="OUT", help="folder to write")
    parser.add_argument("--compile", type=Path, nargs=3, metavar=("MODEL", "SPEC", "OUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    onnxruntime.set_default_logger_severity(3)
    if arguments.compile:
        return compile_here(*arguments.compile)
    folder: Path = arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "minilm.onnx"
    if not source.exists():
        model.write(source)
    ours, original, share = compiled("ours: minilm.qtn", source, SPEC, folder / "ours")
    others = []
    for number, (name, rule) in enumerate(BASELINES.items()):
        spec = folder / f"baseline_{number}.qtn"
        rewrite = rule.format(share=100 * share)
        spec.write_text(BASELINE.format(folder=HERE.as_posix(), rule=rewrite), encoding="utf-8")
        others.append(compiled(name, source, spec, folder / f"baseline_{number}")[0])
    rounded = Entry("int8 by onnxruntime", int8(source, folder), original)
    print_table([Entry("original", source, original), *others, ours, rounded])
    return None


if __name__ == "__main__":
    main()
