"""Words for element types, where ONNX's own are not those that everybody uses."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import onnx_ir as ir

OTHERS: Final[Mapping[ir.DataType, str]] = MappingProxyType(
    {ir.DataType.FLOAT: "float32", ir.DataType.DOUBLE: "float64"}
)
"""Those that ONNX calls by words of C."""


def dtype_word(dtype: ir.DataType) -> str:
    """``float32``, ``bfloat16``, ``int64``: ONNX's word in small letters, but for those of C."""
    return OTHERS.get(dtype, dtype.name.lower())


DTYPES: Final[Mapping[str, ir.DataType]] = MappingProxyType(
    {dtype_word(dtype): dtype for dtype in ir.DataType if dtype != ir.DataType.UNDEFINED}
)
"""All element types by their words."""
