"""Train the model, export it and write what the demo needs beside this file.

Needs torch, onnx, onnxscript (for the exporter) and tokenizers (only here, to learn the pieces).
"""

import argparse
import json
import math
import time
from pathlib import Path

import corpus
import numpy as np
import onnx
import tokens
import torch
from evaluate import Logits, per_byte, perplexity
from model import Config, TinyLM
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
from torch.nn import functional

HERE = Path(__file__).resolve().parent
CONTEXT = 128
ROWS = 64


def learn_pieces(text: str, size: int) -> list[str]:
    """Learn byte-pair pieces: words with the blank before them, runs of blanks, runs of signs."""
    characters = ["\n", *map(chr, range(0x20, 0x7F))]
    tokenizer = Tokenizer(models.BPE())
    words = Regex(r" ?[A-Za-z]+| ?[0-9]| ?[^\sA-Za-z0-9]+|\s+(?=\s)|\s")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(words, behavior="isolated")
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=characters, show_progress=False)
    tokenizer.train_from_iterator(text.split("\n\n\n"), trainer)
    return sorted(tokenizer.get_vocab(), key=lambda piece: (len(piece), piece))


def rows(stream: np.ndarray, count: int) -> np.ndarray:
    """Cut rows of one context length, evenly spaced over the whole stream."""
    starts = np.linspace(0, len(stream) - CONTEXT, count).astype(int)
    return np.stack([stream[start : start + CONTEXT] for start in starts])


def callable_of(model: TinyLM) -> Logits:
    """Wrap the model as logits = f(input_ids) on numpy arrays, without dropout."""

    def logits(input_ids: np.ndarray) -> np.ndarray:
        training = model.training
        model.eval()
        with torch.inference_mode():
            out = model(torch.from_numpy(input_ids)).numpy()
        model.train(training)
        return out

    return logits


def learning_rate(done: float, peak: float) -> float:
    """Warm up over the first 3 %, then fall as a cosine to a hundredth."""
    if done < 0.03:
        return peak * done / 0.03
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (done - 0.03) / 0.97)))


def train(model: TinyLM, stream: np.ndarray, valid: np.ndarray, args: argparse.Namespace) -> None:
    """Fit the model to random windows of the stream; the checkpoint that is best on `valid` remains."""
    generator = torch.Generator().manual_seed(args.seed)
    decayed = [weight for weight in model.parameters() if weight.ndim == 2]
    free = [weight for weight in model.parameters() if weight.ndim < 2]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": free, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.99), fused=True)
    data, reach = torch.from_numpy(stream), torch.arange(CONTEXT + 1)
    best, kept, began = math.inf, {}, time.monotonic()
    model.train()
    last = args.stop or args.steps
    for step in range(last):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate((step + 1) / args.steps, args.lr)
        starts = torch.randint(len(data) - CONTEXT, (args.batch, 1), generator=generator)
        window = data[starts + reach]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(window[:, :-1])
        loss = functional.cross_entropy(logits.float().flatten(0, 1), window[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % args.every == 0 or step + 1 == last:
            found = perplexity(callable_of(model), valid)
            spent = time.monotonic() - began
            print(f"step {step + 1}: loss {loss.item():.3f}, validation {found:.3f}, {spent:.0f} s", flush=True)
            if found < best:
                best, kept = found, {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(kept)


def export(model: TinyLM, path: Path) -> None:
    """Write one ONNX file with the weights inside and the batch and sequence symbolic."""
    program = torch.onnx.export(
        model.eval(),
        (torch.zeros(2, 16, dtype=torch.int64),),
        dynamo=True,
        opset_version=18,
        input_names=["input_ids"],
        output_names=["logits"],
        dynamic_shapes={"input_ids": {0: torch.export.Dim("batch"), 1: torch.export.Dim("seq", max=256)}},
        verbose=False,
    )
    if program is None:
        raise RuntimeError("torch.onnx.export gave nothing")
    for node in program.model.graph.all_nodes():
        # Stack traces name files of the machine that exported; name scopes stay, for they name the layers.
        node.metadata_props.pop("pkg.torch.onnx.stack_trace", None)
    program.save(path, external_data=False)
    onnx.checker.check_model(path, full_check=True)


def main() -> None:
    """Run the whole road from text to files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to")
    parser.add_argument("--steps", type=int, default=7500, help="steps of the learning-rate schedule")
    parser.add_argument("--stop", type=int, help="end after so many steps, the schedule unchanged")
    parser.add_argument("--batch", type=int, default=16, help="windows a step")
    parser.add_argument("--lr", type=float, default=3e-3, help="peak learning rate")
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--every", type=int, default=250, help="steps between validations")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)

    config = Config(dropout=args.dropout)
    text = corpus.split()
    pieces = learn_pieces(text["training"], config.vocab)
    (args.out / "vocab.json").write_text(json.dumps(pieces, indent=0) + "\n", encoding="ascii")
    stream = {part: np.array(tokens.encode(body, pieces), dtype=np.int64) for part, body in text.items()}
    for part, found in stream.items():
        print(f"{part}: {len(text[part])} bytes, {len(found)} pieces")
    heldout = rows(stream["held out"], ROWS)
    np.savez_compressed(args.out / "calib.npz", input_ids=rows(stream["training"], ROWS))
    np.savez_compressed(args.out / "heldout.npz", input_ids=heldout)

    model = TinyLM(config)
    print(f"parameters: {sum(weight.numel() for weight in model.parameters())}")
    train(model, stream["training"], rows(stream["validation"], ROWS), args)
    export(model, args.out / "tinylm.onnx")
    found = perplexity(callable_of(model), heldout)
    print(f"held-out perplexity: {found:.3f} per piece, {per_byte(found, heldout, pieces):.4f} per byte")


if __name__ == "__main__":
    main()
