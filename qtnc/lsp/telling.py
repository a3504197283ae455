"""What a model tells, as a program: a path as argument, JSON on stdout; a model that cannot be read, on stderr.

Reading a model takes memory and a while, and may be the end of a process: so it is that of one of its own.
"""

import os
import sys
from pathlib import Path

from qtnc.compiler import prepare
from qtnc.errors import QtncError
from qtnc.importers.onnx import read_model
from qtnc.ir.layers import find_layers
from qtnc.lsp.told import told


def main(path: Path) -> int:
    """Read, tell; the exit code is 1 where the model is wrong."""
    out = os.dup(1)
    os.dup2(2, 1)  # what libraries print is no part of the answer
    try:
        model = prepare(read_model(path))
        answer = told(model, find_layers(model)).encoded()
    except QtncError as error:
        said = error.diagnostics[0]
        print(f"{said.message}; {said.help}" if said.help else said.message, file=sys.stderr)
        return 1
    with open(out, "wb") as stream:
        stream.write(answer)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
