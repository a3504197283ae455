"""The graph IR: an ``onnx_ir.Model`` and the ``qtn`` dialect, whose every op has an ONNX function as its meaning."""
