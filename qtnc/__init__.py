"""A declarative compiler from ONNX models to tensor networks and quantum circuits, counted honestly."""

__version__ = "0.1.0"
