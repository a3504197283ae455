"""Whether a model in memory is valid ONNX, told without reading its weights."""

import onnx
import onnx_ir as ir

from qtnc.errors import printable
from qtnc.importers.soundness import fault
from qtnc.ir.inference import light

LONGEST = 300
"""Characters of what onnx's checker says."""


def model_fault(model: ir.Model) -> str | None:
    """Say what is wrong with a model, or None; of large weights only shapes and types are looked at."""
    try:
        proto = onnx.ModelProto.FromString(light(model))
    except Exception as error:  # onnx_ir raises whatever a broken graph leads to
        root: BaseException = error
        while root.__cause__ is not None:
            root = root.__cause__
        return printable(f"it cannot be written: {root}", LONGEST)
    if found := fault(proto):
        return found
    try:
        onnx.checker.check_model(proto, full_check=True)
    except Exception as error:  # the checker's errors, and those of inference
        return printable(" ".join(str(error).split()), LONGEST)
    return None
