"""Continue a sentence with a compiled language model; qtnc itself is not needed.

`python app.py OUT "prompt"` loads OUT/torch with torch and safetensors; with `--onnx` it loads OUT/onnx/model.onnx
with onnxruntime.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

TINYLM = Path(__file__).resolve().parent.parent / "tinylm"
sys.path.insert(0, str(TINYLM))  # for tokens.py and evaluate.py, which need numpy at most

import numpy as np
from evaluate import generate
from tokens import load_pieces

Logits = Callable[[np.ndarray], np.ndarray]


def torch_logits(folder: Path) -> Logits:
    """Load the module that the compiler wrote: model.py and its weights beside it."""
    sys.path.insert(0, str(folder))  # in front of TINYLM, which holds the model.py of training
    import model
    import torch

    module = model.load().eval()

    def logits(input_ids: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return module(torch.from_numpy(input_ids)).numpy()

    return logits


def onnx_logits(file: Path) -> Logits:
    """Load the ONNX file that the compiler wrote."""
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return lambda input_ids: session.run(None, {"input_ids": input_ids})[0]


def load(out: Path, onnx: bool) -> Logits:
    """Load the model in the form asked for, or say what is missing."""
    wanted = out / "onnx" / "model.onnx" if onnx else out / "torch" / "model.py"
    other = out / "torch" / "model.py" if onnx else out / "onnx" / "model.onnx"
    if not wanted.is_file():
        hint = "compile a model first"
        if other.is_file():
            hint = "leave --onnx away" if onnx else "try --onnx"
        sys.exit(f"app: {wanted} is not there; {hint}")
    try:
        return onnx_logits(wanted) if onnx else torch_logits(wanted.parent)
    except ModuleNotFoundError as error:
        sys.exit(f"app: this needs the package {error.name}")


def main() -> None:
    """Read the arguments and print the continued prompt."""
    parser = argparse.ArgumentParser(description="Continue a sentence with a compiled language model.")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder that the compiler wrote")
    parser.add_argument("prompt", help="text to continue")
    parser.add_argument("--onnx", action="store_true", help="use OUT/onnx/model.onnx rather than OUT/torch")
    parser.add_argument("--vocab", type=Path, default=TINYLM / "vocab.json", help="list of pieces")
    parser.add_argument("--length", type=int, default=64, help="pieces to add")
    parser.add_argument("--temperature", type=float, default=0.0, help="0 takes the likeliest piece")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if not args.vocab.is_file():
        sys.exit(f"app: {args.vocab} is not there; name the list of pieces with --vocab")
    chosen = {"length": args.length, "temperature": args.temperature, "seed": args.seed}
    text = generate(load(args.out, args.onnx), args.prompt, load_pieces(args.vocab), **chosen)
    print(text)


if __name__ == "__main__":
    main()
