"""Write calib.npz and heldout.npz anew: samples of 64 tokens from the help topics that every CPython carries.

One sample in five is held out. None is padded, so that the covariances are those of real tokens.
"""

from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
from model import folder
from tokenizers import Tokenizer

HERE = Path(__file__).resolve().parent
SAMPLES, LENGTH = 80, 64


def main() -> None:
    """Cut the topics into samples, and take them evenly from all."""
    tokenizer = Tokenizer.from_file(str(folder() / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ids: list[int] = []
    for _, text in sorted(topics.items()):
        ids += tokenizer.encode(" ".join(text.split()), add_special_tokens=False).ids
    first, last = (tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]"))
    room = LENGTH - 2
    starts = np.linspace(0, len(ids) - room, SAMPLES).astype(int)  # far apart: no two share text
    samples = np.array([[first, *ids[start : start + room], last] for start in starts], np.int64)
    heldout = np.arange(SAMPLES) % 5 == 0
    for name, chosen in (("calib", samples[~heldout]), ("heldout", samples[heldout])):
        np.savez_compressed(HERE / f"{name}.npz", input_ids=chosen, attention_mask=np.ones_like(chosen))


if __name__ == "__main__":
    main()
