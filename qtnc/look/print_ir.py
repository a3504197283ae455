"""The model after a pass as files that anybody can open: ONNX, and our text form with the tensors beside it."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

import onnx_ir as ir

from qtnc.backends.onnx import write_onnx
from qtnc.errors import BackendError, Diagnostic, OutputError, VerifyError
from qtnc.ir.text.files import save_text
from qtnc.output.staging import check_apart, check_free
from qtnc.pipeline import Ran

OURS = re.compile(r"[0-9]{2,}-[a-z0-9-]+\.(onnx|onnx\.data|qir|qir\.safetensors)")
"""Names of the files that are written, and so may be written anew."""


class PrintIr:
    """A hook that writes ``03-matmul-to-mpo.onnx`` and ``.qir``, numbered as passes run, after those that are named."""

    def __init__(self, folder: Path, names: Iterable[str] | None) -> None:
        """``names`` is None for every pass."""
        self.folder = folder
        self.names = None if names is None else frozenset(names)
        self.count = 0

    def __call__(self, ran: Ran, model: ir.Model) -> None:
        """Write both files.

        Raises
        ------
        VerifyError
            If onnx's checker refuses what the pass left; the files stay to be looked at.
        """
        self.count += 1
        if self.names is not None and ran.name not in self.names:
            return
        stem = f"{self.count:02}-{ran.name}"
        try:
            save_text(model, self.folder / f"{stem}.qir")
            write_onnx(model, self.folder / f"{stem}.onnx")
        except BackendError as error:
            reason = f"pass {ran.name} leaves what is no valid ONNX model: {str(error.__cause__ or error)[:300]}"
            raise VerifyError(Diagnostic(reason, place=str(self.folder / f"{stem}.onnx"))) from error
        except OSError as error:
            raise _unwritable(self.folder, error) from error


def clear_folder(folder: Path, out: Path, inputs: Iterable[Path], *, force: bool) -> None:
    """Make a folder for the files; those of an earlier compile go, and others stay.

    Raises
    ------
    OutputError
        If it lies in ``out``, holds what the compile is made from, or, unless forced, anything that we do not write.
    """
    check_apart(out, (folder,))
    try:
        found = sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []
        ours = [path for path in found if OURS.fullmatch(path.name) and (path.is_symlink() or path.is_file())]
        if len(ours) < len(found) or not found:
            check_free(folder, force=force, name="--ir-dir")
        check_apart(folder, [path for path in inputs if OURS.fullmatch(path.name)])
        folder.mkdir(parents=True, exist_ok=True)
        for path in ours:
            os.unlink(path)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> OutputError:
    return OutputError(Diagnostic(f"cannot be written: {error.strerror or error}", place=str(folder)))
