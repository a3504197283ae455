"""The forms in which ONNX writes a product with a constant matrix: ``y = x . W`` along some axis of x."""

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

PRODUCTS = ("MatMul", "Gemm")
"""Operators that always are products."""


@dataclass(frozen=True)
class Form:
    """Where a product has its features: those of x along axis ``into``, those of y along ``out``, from the end."""

    into: int = -1
    out: int = -1


def form_of(node: ir.Node, position: int, weight: Sequence[int], rank: int | None) -> Form | str:
    """The form of a product, or why the node is none.

    Parameters
    ----------
    position : of the weight among the inputs.
    weight : its shape.
    rank : number of axes of x.
    """
    if node.op_type not in (*PRODUCTS, "Conv"):
        return f"{node.op_type} is not a product x . W with a constant matrix W (MatMul, Gemm or Conv of 1x1 kernels)"
    if rank is None:
        return "the rank of its input is unknown"
    if node.op_type == "Conv":
        return _conv(node, weight)
    if node.op_type == "Gemm":
        turned = bool(node.attributes.get_int("transB" if position == 0 else "transA", 0))
        return Form(-1 if turned else -2, -2) if position == 0 else Form(-2 if turned else -1, -1)
    return _matmul(position, weight, rank)


def is_transposed(node: ir.Node, position: int) -> bool:
    """Whether the stored weight is the transpose of W."""
    if node.op_type == "Gemm":
        return bool(node.attributes.get_int("transB", 0)) if position else not node.attributes.get_int("transA", 0)
    return node.op_type == "Conv" or (node.op_type == "MatMul" and position == 0)


def matrix_axes(op: str, shape: Sequence[int]) -> tuple[int, int]:
    """The two sizes of a weight that are those of a matrix, as stored."""
    rows, columns = shape[:2] if op == "Conv" else shape[-2:]
    return rows, columns


def _matmul(position: int, weight: Sequence[int], rank: int) -> Form | str:
    """``x . W``, and ``W . x``, which is the transpose of ``x^T . W^T``."""
    batch = weight[:-2]
    if any(axis != 1 for axis in batch):
        count = "x".join(map(str, batch))
        return f"its weight is a batch of {count} matrices; a product has one (export a MatMul for each matrix)"
    if batch and rank < len(weight):
        return f"its weight has {len(weight)} axes and its input {rank}; a matrix has 2"
    return Form(-2, -2) if position == 0 and rank > 1 else Form()


def _conv(node: ir.Node, weight: Sequence[int]) -> Form | str:
    """A convolution of 1x1 kernels is a product over channels at each place; dilations move nothing."""
    kernel = weight[2:]
    if any(size != 1 for size in kernel):
        return f"its kernel is {'x'.join(map(str, kernel))}; a product over channels has kernels of size 1"
    if (groups := node.attributes.get_int("group", 1)) != 1:
        return f"its channels are in {groups} groups; a product has one"
    if any(step != 1 for step in node.attributes.get_ints("strides", ())):
        return "its strides skip places; those of a product are 1"
    if any(node.attributes.get_ints("pads", ())):
        return "its input is padded; that of a product is not"
    channels = 1 - len(weight)
    return Form(channels, channels)
