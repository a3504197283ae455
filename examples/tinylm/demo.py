"""Compile the example model by its spec and print it beside what one would do instead, at equal bytes."""

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import onnx
import onnxruntime
from evaluate import Logits, generate, onnx_logits, perplexity
from onnxruntime.quantization import QuantType, quantize_dynamic
from tokens import load_pieces

from qtnc.compiler import Compiled, compile_model
from qtnc.errors import QtncError
from qtnc.report.text import table

HERE = Path(__file__).resolve().parent
MODEL = HERE / "tinylm.onnx"
SPEC = HERE / "classical.qtn"
PROMPT = "The function returns"

BASELINE = r"""qtn 1
bind batch = 1, seq = 128
data calib = npz("{folder}/calib.npz")
optimize memory
select inner = MatMul where name ~ re"layers\.[1-5]\."
rewrite inner -> {rule}
emit onnx
"""

BASELINES = {
    "plain SVD": "lowrank(bytes: {share:.4f}%)",
    "data-weighted low rank": "lowrank(bytes: {share:.4f}%) on calib",
    "plain MPO, 2 sites": "mpo(sites: 2, bytes: {share:.4f}%)",
    "data-weighted MPO, 2 sites": "mpo(sites: 2, bytes: {share:.4f}%) on calib",
    "low rank, 35% error a layer": "lowrank(error: 35%) on calib",
}


@dataclass(frozen=True)
class Entry:
    """One row of the table: a name, an ONNX file and its parameters."""

    name: str
    file: Path
    parameters: int


def compile_baselines(ours: Compiled, folder: Path) -> list[Entry]:
    """Compile every baseline at the share of bytes that ours needs on the layers it rewrote.

    The one that asks for an error instead finds its own bytes, near ours: it shows what spreading them by error buys.
    """
    claimed = ours.plan.layers
    share = 100 * sum(x.bytes for x in claimed) / sum(x.original_bytes for x in claimed)
    found = []
    for number, (name, rule) in enumerate(BASELINES.items()):
        spec = folder / f"baseline_{number}.qtn"
        spec.write_text(BASELINE.format(folder=HERE.as_posix(), rule=rule.format(share=share)), encoding="utf-8")
        compiled = compile_model(MODEL, spec, folder / f"baseline_{number}")
        found.append(Entry(name, compiled.out / "onnx" / "model.onnx", compiled.plan.parameters))
    return found


def int8(folder: Path) -> Path:
    """Round the original's weights to int8 by onnxruntime's own tool."""
    clean, out = folder / "clean.onnx", folder / "int8.onnx"
    model = onnx.load(MODEL)
    del model.graph.value_info[:]  # the tool infers shapes anew
    onnx.save(model, clean)
    quantize_dynamic(clean, out, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul"])
    return out


def milliseconds(files: list[Path], rounds: int = 15) -> list[float]:
    """Median time of one row of 128 tokens in each model, all measured in turn so that noise hits them alike."""
    tokens = np.zeros((1, 128), np.int64)
    runs = [onnx_logits(file) for file in files]
    taken: list[list[float]] = [[] for _ in files]
    for _ in range(rounds + 2):
        for run, times in zip(runs, taken, strict=True):
            start = perf_counter()
            run(tokens)
            times.append(1e3 * (perf_counter() - start))
    return [median(times[2:]) for times in taken]


def print_table(entries: list[Entry], heldout: np.ndarray) -> None:
    """Print parameters, bytes, perplexity and latency, the last three also as ratios to the original."""
    sizes = [entry.file.stat().st_size for entry in entries]
    perplexities = [perplexity(onnx_logits(entry.file), heldout) for entry in entries]
    times = milliseconds([entry.file for entry in entries])
    rows = [
        [
            entry.name,
            f"{entry.parameters:,}",
            f"{size:,}",
            f"{size / sizes[0]:.1%}",
            f"{found:.2f}",
            f"{found / perplexities[0]:.3f}x",
            f"{time:.2f}",
            f"{time / times[0]:.2f}x",
        ]
        for entry, size, found, time in zip(entries, sizes, perplexities, times, strict=True)
    ]
    print(table(["model", "parameters", "bytes", "share", "perplexity", "ratio", "ms", "ratio"], rows))


def sentence(logits: Logits) -> str:
    """One generated sentence, on one line."""
    text = generate(logits, PROMPT, load_pieces(HERE / "vocab.json"), length=32)
    return " ".join(text.split())


def main() -> int:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("out"), metavar="OUT", help="the folder to write")
    out: Path = parser.parse_args().output
    onnxruntime.set_default_logger_severity(3)
    try:
        ours = compile_model(MODEL, SPEC, out, force=True)
    except QtncError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    with np.load(HERE / "heldout.npz") as arrays:
        heldout = arrays["input_ids"]
    compiled = out / "onnx" / "model.onnx"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        original = ours.plan.model_parameters
        entries = [
            Entry("original", MODEL, original),
            *compile_baselines(ours, folder),
            Entry("ours: classical.qtn", compiled, ours.plan.parameters),
            Entry("int8 by onnxruntime", int8(folder), original),
        ]
        print_table(entries, heldout)
    for verdict in ours.verdicts:
        print("\n".join(verdict.lines()))
    print(f"original: {sentence(onnx_logits(MODEL))}")
    print(f"compiled: {sentence(onnx_logits(compiled))}")
    print(f"wrote {out}; look at {out / 'report.html'}")
    return 0 if ours.holds else 3


if __name__ == "__main__":
    sys.exit(main())
