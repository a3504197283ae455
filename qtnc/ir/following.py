"""Shape inference that follows elements, as a program: a model on stdin, the model with shapes on stdout.

To follow shapes that are computed, onnx holds every element of every vector whose length it knows. A file of a few
bytes may claim a vector of 1e18 elements, or reach one without ever writing the number; so this happens in a process
that may be lost.
"""

import resource
import sys
from typing import Final

import onnx

ROOM: Final = 1 << 30
"""Bytes of memory that the process may take."""


def main() -> None:
    """Read, infer, write."""
    resource.setrlimit(resource.RLIMIT_DATA, (ROOM, ROOM))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    found = onnx.shape_inference.infer_shapes(sys.stdin.buffer.read(), data_prop=True)
    sys.stdout.buffer.write(found.SerializeToString())


if __name__ == "__main__":
    main()
