"""The weights of the emitted module: what they are called, which of them train, and their file."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import onnx_ir as ir

from qtnc.backends.identifiers import Namespace, words
from qtnc.backends.torch.names import MODULE_ATTRIBUTES, module_path, weight_hint
from qtnc.errors import BackendError

TORCH_DTYPES: Final = {
    ir.DataType.FLOAT: ("torch.float32", "F32"),
    ir.DataType.DOUBLE: ("torch.float64", "F64"),
    ir.DataType.FLOAT16: ("torch.float16", "F16"),
    ir.DataType.BFLOAT16: ("torch.bfloat16", "BF16"),
    ir.DataType.FLOAT8E4M3FN: ("torch.float8_e4m3fn", "F8_E4M3"),
    ir.DataType.FLOAT8E5M2: ("torch.float8_e5m2", "F8_E5M2"),
    ir.DataType.INT64: ("torch.int64", "I64"),
    ir.DataType.INT32: ("torch.int32", "I32"),
    ir.DataType.INT16: ("torch.int16", "I16"),
    ir.DataType.INT8: ("torch.int8", "I8"),
    ir.DataType.UINT8: ("torch.uint8", "U8"),
    ir.DataType.UINT16: ("torch.uint16", "U16"),
    ir.DataType.UINT32: ("torch.uint32", "U32"),
    ir.DataType.UINT64: ("torch.uint64", "U64"),
    ir.DataType.BOOL: ("torch.bool", "BOOL"),
}
"""Dtypes of ONNX as torch and as safetensors write them."""

SUB_BYTE: Final = {
    ir.DataType.INT4: ir.DataType.INT8,
    ir.DataType.INT2: ir.DataType.INT8,
    ir.DataType.UINT4: ir.DataType.UINT8,
    ir.DataType.UINT2: ir.DataType.UINT8,
}
"""Dtypes that torch has no tensors of, and what they are widened to."""

TRAINABLE: Final = frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.BFLOAT16})

_FLAT = words(
    "Shape Size ArgMax ArgMin Sign Floor Ceil Round IsNaN IsInf Not Equal Less LessOrEqual Greater GreaterOrEqual "
    "OneHot EyeLike ConstantOfShape Range QuantizeLinear"
)
_DATA_INPUTS = {
    "Where": (1, 2),
    "Gather": (0,),
    "GatherElements": (0,),
    "GatherND": (0,),
    "ScatterND": (0, 2),
    "ScatterElements": (0, 2),
    "CastLike": (0,),
    "DequantizeLinear": (1,),
    "Clip": (0,),
    "Pad": (0,),
    "Dropout": (0,),
}
_MASK = 1e30


def torch_dtype(dtype: ir.DataType | None) -> str | None:
    """``torch.float32`` for FLOAT and so on; None where torch has no such dtype."""
    found = TORCH_DTYPES.get(SUB_BYTE.get(dtype, dtype)) if dtype is not None else None
    return found[0] if found else None


@dataclass(frozen=True)
class Weight:
    """One entry of the state_dict."""

    name: str
    tensor: ir.TensorProtocol
    parameter: bool

    @property
    def dtype(self) -> ir.DataType:
        """Dtype it is stored in."""
        return SUB_BYTE.get(self.tensor.dtype, self.tensor.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape, as numbers."""
        return tuple(int(d) for d in self.tensor.shape.numpy())

    def write(self, file: BinaryIO) -> None:
        """Append the elements, little-endian, in row-major order."""
        if self.tensor.dtype in SUB_BYTE:
            file.write(self.tensor.numpy().astype(SUB_BYTE[self.tensor.dtype].numpy()).tobytes())
        else:
            file.write(self.tensor.tobytes())

    @property
    def nbytes(self) -> int:
        """Bytes it takes in the file."""
        return self.tensor.size * int(self.dtype.itemsize)


class Weights:
    """Names given to initialisers and constants as the code comes to read them."""

    def __init__(self, graph: ir.Graph) -> None:
        self._names = Namespace(MODULE_ATTRIBUTES)
        self._learning = differentiable(graph)
        self._found: dict[int, Weight] = {}
        self.by_name: dict[str, Weight] = {}

    def claim(self, hint: str) -> str:
        """A name for a method, which no weight has."""
        return self._names.claim(hint, "body")

    def name_of(self, value: ir.Value, tensor: ir.TensorProtocol, reader: ir.Node | None) -> str:
        """Attribute that holds ``tensor``; initialisers that share one tensor share one attribute."""
        if id(tensor) not in self._found:
            learns = tensor.dtype in TRAINABLE and value.is_initializer() and value in self._learning
            parameter = learns and not is_mask(tensor)
            path = module_path(reader) if reader is not None else None
            name = self._names.claim(
                weight_hint(value.name or "", path, "weight" if parameter else "constant"),
                "weight" if parameter else "constant",
            )
            if torch_dtype(tensor.dtype) is None:
                raise BackendError(f"torch has no dtype for weight {name}, which is {tensor.dtype}")
            self._found[id(tensor)] = self.by_name[name] = Weight(name, tensor, parameter)
        return self._found[id(tensor)].name


def is_mask(tensor: ir.TensorProtocol) -> bool:
    """Whether a float tensor holds infinities or lowest numbers, as additive masks do: no optimiser may move it."""
    if not tensor.size:
        return False
    array = tensor.numpy()
    limit = min(_MASK, 0.99 * float(tensor.dtype.max))
    return not (-limit < float(array.min()) <= float(array.max()) < limit)


def differentiable(graph: ir.Graph) -> set[ir.Value]:
    """Values through which a gradient can flow back from a floating-point output."""
    live = {v for v in graph.outputs if v.dtype is None or v.dtype in TRAINABLE}
    for node in reversed(graph):
        if node.op_type in _FLAT and not node.domain:
            continue
        if not live.intersection(node.outputs) or _casts_to_whole(node):
            continue
        if any(graph_of(attribute) for attribute in node.attributes.values()):
            live.update(v for inner in _inside(node) for v in inner.inputs if v is not None)
        data = _DATA_INPUTS.get(node.op_type) if not node.domain else None
        live.update(v for k, v in enumerate(node.inputs) if v is not None and (data is None or k in data))
    return live


def graph_of(attribute: ir.Attr) -> ir.Graph | None:
    """Graph that an attribute holds."""
    return attribute.as_graph() if attribute.type == ir.AttributeType.GRAPH else None


def _inside(node: ir.Node) -> Iterator[ir.Node]:
    for graph in filter(None, map(graph_of, node.attributes.values())):
        yield from ir.traversal.RecursiveGraphIterator(graph)


def _casts_to_whole(node: ir.Node) -> bool:
    return node.op_type == "Cast" and node.attributes["to"].as_int() not in {int(d) for d in TRAINABLE}


def save(weights: Iterable[Weight], path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file with metadata, one tensor at a time, so that memory holds one tensor at most.

    Wider dtypes come first, as the format's own writer does, which keeps every tensor aligned.
    """
    ordered = sorted(weights, key=lambda w: (-w.dtype.itemsize, w.name))
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    offset = 0
    for weight in ordered:
        header[weight.name] = {
            "dtype": TORCH_DTYPES[weight.dtype][1],
            "shape": list(weight.shape),
            "data_offsets": [offset, offset + weight.nbytes],
        }
        offset += weight.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for weight in ordered:
            weight.write(file)
