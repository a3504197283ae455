"""What a selection knows of a layer without reading its weight: what conditions compare."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qtnc.ir.form import Form
from qtnc.ir.names import block_of


class LayerFacts(Protocol):
    """What a selection knows of a layer."""

    @property
    def name(self) -> str:
        """The canonical name."""
        ...

    @property
    def op(self) -> str:
        """The op type, such as ``MatMul``."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the weight as stored."""
        ...

    @property
    def dtype(self) -> ir.DataType:
        """Element type of the weight."""
        ...

    @property
    def elements(self) -> int:
        """Elements of the weight."""
        ...

    @property
    def bytes(self) -> int:
        """Stored bytes of the weight."""
        ...

    @property
    def form(self) -> Form | str:
        """How it multiplies by a matrix, or why it does not."""
        ...

    @property
    def matrix_shape(self) -> tuple[int, int]:
        """(M, N) of a product ``y = x . W``, or of each in a stack."""
        ...

    def matrix(self) -> NDArray[np.float64]:
        """Weight of a product ``y = x . W``, (M, N)."""
        ...


def is_product(layer: LayerFacts) -> bool:
    """Whether a layer is a product ``y = x . W`` with a matrix W, or with a stack of them."""
    return isinstance(layer.form, Form)


def has_one_matrix(layer: LayerFacts) -> bool:
    """Whether a layer is a product with a single matrix."""
    return isinstance(layer.form, Form) and not layer.form.weight.stack(layer.shape)


NUMBERS: Mapping[str, Callable[[LayerFacts], int | None]] = MappingProxyType(
    {
        "weight.elements": lambda layer: layer.elements,
        "weight.bytes": lambda layer: layer.bytes,
        "weight.rows": lambda layer: layer.matrix_shape[0] if is_product(layer) else None,
        "weight.columns": lambda layer: layer.matrix_shape[1] if is_product(layer) else None,
        "block": lambda layer: block_of(layer.name),
    }
)
"""Numbers of a layer by field; None where it has none."""

LACKING = {
    "weight.rows": "none is a product x . W with a matrix W",
    "weight.columns": "none is a product x . W with a matrix W",
    "block": "none has a number in its name",
}
"""Why a layer has no such number."""

DTYPES: Mapping[str, ir.DataType] = MappingProxyType(
    {
        "float16": ir.DataType.FLOAT16,
        "bfloat16": ir.DataType.BFLOAT16,
        "float32": ir.DataType.FLOAT,
        "float64": ir.DataType.DOUBLE,
    }
)
"""Element types by the words for them."""


def axes(shape: tuple[int, ...]) -> str:
    """``384x1536``."""
    return "x".join(map(str, shape))
