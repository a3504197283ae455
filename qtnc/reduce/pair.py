"""What is made small: a model, a spec, passes, and the files that the spec names."""

import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import onnx_ir as ir

from qtnc.backends.onnx import write_onnx
from qtnc.errors import BackendError
from qtnc.importers.tensors import external_files
from qtnc.reduce.graph import bytes_of
from qtnc.reduce.text import Statement, text_of
from qtnc.report.tools import counted

MODEL, SPEC = "model.onnx", "spec.qtn"


@dataclass(frozen=True)
class Pair:
    """One candidate.

    Attributes
    ----------
    model : in memory, or the file where it cannot be read.
    statements : of the spec, None for commands that take none.
    passes : of the pipeline; None where the default one runs.
    files : to lie beside the spec, by their names there.
    """

    model: ir.Model | Path
    statements: tuple[Statement, ...] | None = None
    passes: tuple[str, ...] | None = None
    files: Mapping[str, Path] = field(default_factory=dict)

    def write(self, folder: Path) -> bool:
        """Write it into a folder; whether its model can be written."""
        for name, path in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name)
        if self.statements is not None:
            (folder / SPEC).write_text(text_of(self.statements), encoding="utf-8")
        if isinstance(self.model, Path):
            for file in (self.model, *_beside(self.model)):
                target = folder / (MODEL if file == self.model else file.relative_to(self.model.parent))
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
            return True
        try:
            write_onnx(self.model.clone(), folder / MODEL)
        except BackendError:
            pass  # what onnx's checker refuses may be just what fails
        except Exception:  # a graph without its parts; onnx_ir raises whatever that leads to
            return False
        return True

    def arguments(self, command: str, more: Sequence[str]) -> list[str]:
        """The command line, in the folder that it was written to."""
        spec = [SPEC] if self.statements is not None else []
        out = ["-o", "out"] if command == "compile" else []
        passes = ["--pass-pipeline", ",".join(self.passes)] if self.passes is not None else []
        return [command, MODEL, *spec, *out, *more, *passes]

    def line(self, command: str, more: Sequence[str]) -> str:
        """The same as a shell takes it."""
        return shlex.join(["qtnc", *self.arguments(command, more)])

    def size(self) -> str:
        """How large it is, in words."""
        parts = []
        if isinstance(self.model, ir.Model):
            parts += [counted(len(self.model.graph), "node"), f"{bytes_of(self.model):,} bytes of weights"]
        if self.statements is not None:
            parts.append(counted(len(self.statements), "statement"))
        if self.passes is not None:
            parts.append(counted(len(self.passes), "pass"))
        return ", ".join(parts)


def _beside(model: Path) -> tuple[Path, ...]:
    """Files that hold its weights; a model that cannot be read tells of none."""
    try:
        return tuple(external_files(model))
    except Exception:  # protobuf's errors, and whatever damage leads to
        return ()
