"""The opset that a spec asks for."""

from qtnc.backends.onnx_options import OnnxOptions
from qtnc.importers.opset import AskedOpset
from qtnc.spec.program import Spec


def asked_opset(spec: Spec) -> AskedOpset | None:
    """What `emit onnx` says of the opset, by number or by the oldest onnxruntime; None where it says nothing."""
    emit = spec.emit("onnx")
    if emit is None or not isinstance(emit.options, OnnxOptions):
        return None
    if emit.options.opset is not None:
        return AskedOpset(emit.options.opset, span=emit.places["opset"])
    if emit.options.release is not None:
        return AskedOpset(emit.options.release.opset, at_most=True, span=emit.places["min_ort"])
    return None
