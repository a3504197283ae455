"""A model as two files: ``x.qir`` to read, ``x.qir.safetensors`` with the tensors that it names by digest."""

from pathlib import Path

import onnx_ir as ir
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from qtnc.errors import Diagnostic, ImportModelError
from qtnc.ir.text.printer import Printer
from qtnc.ir.text.reader import parse_model
from qtnc.ir.text.tensors import Array, to_side_file


def side_file(path: Path) -> Path:
    """Where the tensors of a text lie."""
    return path.with_name(path.name + ".safetensors")


def save_text(model: ir.Model, path: Path) -> None:
    """Write a model with everything it holds; the tensors beside it, each once."""
    printer = Printer(model, metadata=True)
    text = printer.text()
    save_file({key: to_side_file(tensor) for key, tensor in printer.tensors.items()}, side_file(path))
    path.write_text(text, encoding="utf-8", newline="\n")


def load_text(path: Path) -> ir.Model:
    """Read what :func:`save_text` wrote, or a text that needs no file beside it.

    Raises
    ------
    ImportModelError
        If a file is missing or damaged, or the text is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if not side_file(path).exists():
            return parse_model(text, source=str(path))
        with safe_open(side_file(path), framework="np") as tensors:
            known = set(tensors.keys())

            def find(name: str, dtype: ir.DataType, shape: tuple[int, ...], digest: str) -> Array:
                if digest not in known:
                    raise KeyError(digest)
                found: Array = tensors.get_tensor(digest)
                return found

            return parse_model(text, find, source=str(path))
    except (OSError, UnicodeDecodeError, SafetensorError) as error:
        raise ImportModelError(Diagnostic(f"cannot be read: {error}", place=str(path))) from error
