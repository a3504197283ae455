"""Files beside a model that belong to it: tokenizer, configuration, licence; carried along into what is emitted."""

import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from qtnc.errors import printable

LARGEST = 64 << 20
"""Bytes of the largest file that is carried along; the largest tokenizers have half of that."""

ALTOGETHER = 256 << 20
"""Bytes of all files that are carried along."""

NAMES = frozenset(
    {
        "added_tokens.json",
        "chat_template.jinja",
        "chat_template.json",
        "config.json",
        "generation_config.json",
        "image_processor_config.json",
        "merges.txt",
        "preprocessor_config.json",
        "processor_config.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.json",
        "vocab.txt",
    }
)
"""Names that tokenizers and configurations have in the usual layout."""

PATTERN = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}\.model"  # sentencepiece
    r"|(?i:licen[sc]e|notice|copying)(?:[-_.][A-Z0-9][A-Z0-9._-]{0,60})?(?:\.(?:txt|md|rst))?"
)

FOLDER = "onnx"
"""Name of a folder whose model has its files one folder up."""

BACKENDS = frozenset({"torch", "onnx"})
"""What is emitted as a model; layers alone need none of these files."""


@dataclass(frozen=True)
class Beside:
    """Files that belong to a model, by their names, and why others that look so are left behind."""

    files: tuple[Path, ...]
    left: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, in order."""
        return tuple(path.name for path in self.files)

    def copy(self, folder: Path, backends: Iterable[str]) -> None:
        """Copy the files into the folder of each backend that is a model, so that each is complete by itself."""
        for backend in BACKENDS.intersection(backends):
            for path in self.files:
                shutil.copyfile(path.resolve(), folder / backend / path.name, follow_symlinks=False)


def files_beside(model_path: Path) -> Beside:
    """Look beside a model and, where its folder is called ``onnx``, one folder up; the nearer file of a name wins."""
    here = model_path.absolute().parent
    folders = (here, here.parent) if here.name == FOLDER else (here,)
    files: dict[str, Path] = {}
    left: dict[str, str] = {}
    for folder in folders:
        for path in _candidates(folder):
            if path.name in files or path.name in left:
                continue
            if fault := _fault(path, folder):
                left[path.name] = f"{printable(path.name)} is not carried along: {fault}"
            else:
                files[path.name] = path
    total = 0
    for name in sorted(files):
        total += files[name].stat().st_size
        if total > ALTOGETHER:
            left[name] = f"{name} is not carried along: with it all such files have more than {ALTOGETHER:,} bytes"
    kept = sorted(files.keys() - left.keys())
    return Beside(tuple(files[name] for name in kept), tuple(left[name] for name in sorted(left)))


def _candidates(folder: Path) -> Iterator[Path]:
    try:
        yield from (path for path in folder.iterdir() if path.name in NAMES or PATTERN.fullmatch(path.name))
    except OSError:
        return  # a folder that may be passed through but not listed has nothing to offer


def _fault(path: Path, folder: Path) -> str | None:
    """Why a file stays behind, or None."""
    try:
        real = path.resolve(strict=True)
        if not real.is_relative_to(folder.resolve()):
            return "a link leads out of the model's folder"
        if not real.is_file():
            return "it is not a file"
        size = real.stat().st_size
        with real.open("rb"):
            pass
    except (OSError, RuntimeError) as error:  # a loop of links, no right to read
        return f"it cannot be read ({getattr(error, 'strerror', None) or 'a link leads to itself'})"
    return f"it has {size:,} bytes, more than {LARGEST:,}" if size > LARGEST else None
