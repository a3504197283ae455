"""Models in: ONNX files to the IR."""
