"""Tensors in the text: small ones written out, the others named by a digest of what they hold."""

from collections.abc import Sequence
from hashlib import sha256
from math import prod

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qtnc.ir.text.spelling import quoted

Array = NDArray[np.generic]
Scalar = bool | int | float | str | bytes

DIGITS = 12
"""Hexadecimal digits of a digest."""

INLINE = 8
"""Elements up to which a tensor is written out."""

_KINDS = {bool: "`true` or `false`", int: "an integer", float: "a float such as 1.0"}

LARGEST_NORMAL = 1 << 24
"""Elements that ``normal(seed)`` may ask for."""


def digest(tensor: ir.TensorProtocol) -> str:
    """First digits of the SHA-256 of element type, shape and bytes."""
    found = sha256(f"{tensor.dtype.name}{list(tensor.shape.numpy())}".encode())
    found.update(tensor.tobytes())
    return found.hexdigest()[:DIGITS]


def written_out(tensor: ir.TensorProtocol) -> str | None:
    """``[1, 2]``, or the bare element of a scalar; None where a digest has to stand for the tensor.

    Strings are always written out, for the side file cannot hold them.
    """
    shape = tuple(tensor.shape.numpy())
    if tensor.dtype == ir.DataType.STRING:
        return _listed([_text(element) for element in tensor.numpy().reshape(-1)], shape)
    if prod(shape) > INLINE or tensor.dtype in (ir.DataType.COMPLEX64, ir.DataType.COMPLEX128):
        return None
    numbers = [_number(element) for element in tensor.numpy().reshape(-1)]
    text = _listed([_spelled(n) for n in numbers], shape)
    # The payload of a NaN is the one thing that decimal digits do not carry.
    exact = from_numbers(numbers, tensor.dtype, shape).tobytes() == tensor.tobytes()
    return text if exact else None


def from_numbers(numbers: Sequence[Scalar], dtype: ir.DataType, shape: tuple[int, ...]) -> ir.TensorProtocol:
    """Make a tensor of what is written out.

    Raises
    ------
    ValueError
        If the count is wrong or an element is not of the type.
    """
    if len(numbers) != prod(shape):
        raise ValueError(f"{len(numbers)} elements, where the shape {list(shape)} has {prod(shape)}")
    if dtype == ir.DataType.STRING:
        if not all(isinstance(n, str | bytes) for n in numbers):
            raise ValueError("elements of a tensor of strings are strings")
        raw = [n.encode() if isinstance(n, str) else n for n in numbers if isinstance(n, str | bytes)]
        return ir.StringTensor(raw, shape=ir.Shape(shape))
    wanted = bool if dtype == ir.DataType.BOOL else int if dtype.is_integer() else float
    if not dtype.is_integer() and not dtype.is_floating_point() and dtype != ir.DataType.BOOL:
        raise ValueError(f"elements of type {dtype.short_name()} are not written out")
    for n in numbers:
        if type(n) is not wanted:
            raise ValueError(f"{_spelled(n)} is not {_KINDS[wanted]}")
        if wanted is int and not dtype.min <= n <= dtype.max:
            raise ValueError(f"{n} is outside the range of {dtype.short_name()}")
    with np.errstate(over="ignore"):
        array = np.array(numbers, np.float64 if wanted is float else None).astype(dtype.numpy())
    return ir.Tensor(array.reshape(shape), dtype)


def seeded(seed: int, dtype: ir.DataType, shape: tuple[int, ...]) -> ir.TensorProtocol:
    """Standard normal numbers, so that an input of a test needs no file beside it.

    Raises
    ------
    ValueError
        If the type is not a float, the seed negative or the tensor huge.
    """
    if not dtype.is_floating_point():
        raise ValueError(f"normal numbers are floats, not {dtype.short_name()}")
    if seed < 0 or prod(shape) > LARGEST_NORMAL:
        raise ValueError("normal() takes a seed from 0, and makes small tensors")
    return ir.Tensor(np.asarray(np.random.default_rng(seed).standard_normal(shape)).astype(dtype.numpy()), dtype)


def to_side_file(tensor: ir.TensorProtocol) -> Array:
    """Return the array to store: as it is where numpy has the type itself, else its ONNX bytes, flat."""
    if _native(tensor.dtype):
        return np.ascontiguousarray(tensor.numpy())
    return np.frombuffer(tensor.tobytes(), np.uint8)


def from_side_file(array: Array, dtype: ir.DataType, shape: tuple[int, ...]) -> ir.TensorProtocol:
    """Inverse of :func:`to_side_file`; also takes arrays of ml_dtypes.

    Raises
    ------
    ValueError
        If the array is not of the type and shape.
    """
    if dtype.numpy() == array.dtype and array.shape == shape:
        return ir.Tensor(array, dtype)
    if not _native(dtype) and array.dtype == np.uint8 and array.ndim == 1:
        if array.size != -(-prod(shape) * dtype.bitwidth // 8):
            raise ValueError(f"{array.size} bytes do not fill {dtype.short_name()}{list(shape)}")
        if dtype.bitwidth < 8:
            return ir.PackedTensor(array, dtype, shape=shape)
        return ir.Tensor(np.frombuffer(array.tobytes(), dtype.numpy()).reshape(shape), dtype)
    raise ValueError(f"the array is {array.dtype}{list(array.shape)}, not {dtype.short_name()}{list(shape)}")


def _native(dtype: ir.DataType) -> bool:
    """Whether safetensors and numpy share the type."""
    return dtype.numpy().isbuiltin == 1 and dtype.numpy().kind in "biuf"


def _listed(words: list[str], shape: tuple[int, ...]) -> str:
    return f"[{', '.join(words)}]" if shape else words[0]


def _number(element: np.generic) -> Scalar:
    """Element as Python has it; a float goes by its shortest decimal, which suits every narrower type as well."""
    if isinstance(element, np.bool_ | np.integer | np.float64):
        found: Scalar = element.item()
        return found
    number = float(element)
    return int(element) if _is_small_integer(element) else float(str(np.float32(number)))


def _is_small_integer(element: np.generic) -> bool:
    return element.dtype.name in ("int2", "uint2", "int4", "uint4")


def _spelled(number: Scalar) -> str:
    return ("false", "true")[number] if isinstance(number, bool) else repr(number)


def _text(element: bytes | str) -> str:
    if isinstance(element, str):
        return quoted(element)
    try:
        return quoted(element.decode("utf-8"))
    except UnicodeDecodeError:
        return f'b"{element.hex()}"'
