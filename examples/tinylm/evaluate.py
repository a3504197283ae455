"""Perplexity and generation with any callable that maps tokens to logits.

Such a callable takes int64 tokens (batch, seq) and returns logits (batch, seq, vocab), both numpy arrays.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from tokens import decode, encode, load_pieces

Logits = Callable[[np.ndarray], np.ndarray]
HERE = Path(__file__).resolve().parent


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Logarithm of the softmax over the last axis, safe for large logits."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def perplexity(logits_fn: Logits, tokens: np.ndarray, batch: int = 8) -> float:
    """Perplexity of the next token, over all positions of all rows (rows, seq)."""
    loss = 0.0
    for start in range(0, len(tokens), batch):
        rows = tokens[start : start + batch]
        scores = log_softmax(logits_fn(rows[:, :-1]))
        loss -= float(np.take_along_axis(scores, rows[:, 1:, None], axis=-1).sum())
    return float(np.exp(loss / tokens[:, 1:].size))


def per_byte(perplexity: float, tokens: np.ndarray, pieces: Sequence[str]) -> float:
    """Perplexity per byte of text, which does not depend on how the text was cut into pieces."""
    told = tokens[:, 1:].ravel()
    return float(perplexity ** (told.size / len(decode(told, pieces))))


def generate(
    logits_fn: Logits,
    prompt: str,
    pieces: Sequence[str],
    *,
    length: int = 64,
    temperature: float = 0.0,
    seed: int = 0,
    context: int = 128,
) -> str:
    """Continue the prompt by `length` tokens: the likeliest ones, or drawn at a temperature above zero."""
    rng = np.random.default_rng(seed)
    tokens = encode(prompt or "\n", pieces)
    for _ in range(length):
        window = np.array([tokens[-context:]], dtype=np.int64)
        scores = log_softmax(logits_fn(window)[0, -1])
        if temperature > 0:
            chances = np.exp(log_softmax(scores / temperature))
            tokens.append(int(rng.choice(len(chances), p=chances)))
        else:
            tokens.append(int(scores.argmax()))
    return decode(tokens, pieces)


def onnx_logits(path: str | Path) -> Logits:
    """Open an ONNX model under onnxruntime as a callable."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda input_ids: session.run(["logits"], {"input_ids": input_ids})[0]


def main() -> None:
    """Print a model's perplexity on the held-out text."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("model", nargs="?", type=Path, default=HERE / "tinylm.onnx")
    args = parser.parse_args()
    with np.load(HERE / "heldout.npz") as arrays:
        tokens = arrays["input_ids"]
    found = perplexity(onnx_logits(args.model), tokens)
    bytewise = per_byte(found, tokens, load_pieces(HERE / "vocab.json"))
    print(f"held-out perplexity: {found:.3f} per piece, {bytewise:.4f} per byte")


if __name__ == "__main__":
    main()
