"""The forms in which ONNX writes a product with constant matrices, and why a node is none."""

from collections.abc import Sequence

import onnx_ir as ir

from qtnc.ir.einsum import einsum_form, einsum_weight
from qtnc.ir.form import Axes, Form, WeightForm

PRODUCTS = ("MatMul", "Gemm")
"""Operators that always are products."""


def weight_form(node: ir.Node, position: int, shape: Sequence[int]) -> WeightForm | str:
    """How the weight of a node lies, or why the node is no product.

    Parameters
    ----------
    position : of the weight among the inputs.
    shape : of the weight.
    """
    last = len(shape) - 1
    if node.op_type == "MatMul":
        return WeightForm((*range(last - 1), *((last - 1, last) if position else (last, last - 1))))
    if node.op_type == "Gemm":
        turned = node.attributes.get_int("transB", 0) if position else not node.attributes.get_int("transA", 0)
        return WeightForm((1, 0) if turned else (0, 1))
    if node.op_type == "Conv":
        return _conv(node, shape)
    if node.op_type == "Einsum":
        return einsum_weight(node, position, len(shape))
    known = "MatMul, Gemm, Einsum or Conv of 1x1 kernels"
    return f"{node.op_type} is not a product x . W with a constant matrix W ({known})"


def form_of(node: ir.Node, position: int, shape: Sequence[int], rank: int | None) -> Form | str:
    """The form of a product, or why the node is none; ``rank`` counts the axes of x."""
    weight = weight_form(node, position, shape)
    if isinstance(weight, str):
        return weight
    if rank is None:
        return "the rank of its input is unknown"
    if node.op_type == "Einsum":
        return einsum_form(node, position, weight, shape, rank)
    axes = tuple(range(rank))
    if node.op_type == "Conv":
        return Form((0, *axes[2:], 1), (0, rank - 1, *axes[1:-1]), weight)
    if node.op_type == "Gemm":
        turned = bool(node.attributes.get_int("transA" if position else "transB", 0))
        return Form((1, 0) if turned == bool(position) else (0, 1), (0, 1) if position else (1, 0), weight)
    return _matmul(position, weight, shape, rank)


def _matmul(position: int, weight: WeightForm, shape: Sequence[int], rank: int) -> Form:
    """``x . W``, and ``W . x``, which is the transpose of ``x^T . W^T``; x of one axis is one row."""
    stack, before = len(weight.stack(shape)), len(shape) - 2
    x: Axes = tuple(range(rank))
    y: Axes = tuple(range(max(rank, stack + 2) if stack else rank))
    if rank == 1:
        x, y = ((None, 0), (*y[:-2], stack + 1)) if stack else (x, y)
    elif position == 0:
        x, y = (*x[:-2], rank - 1, rank - 2), (*y[:-2], len(y) - 1, len(y) - 2)
    # A single matrix may have more axes than x; so has y then.
    new = 0 if stack else max(0, before - max(0, rank - 2))
    return Form(x, ((None,) * new) + y, weight)


def _conv(node: ir.Node, shape: Sequence[int]) -> WeightForm | str:
    """A convolution of 1x1 kernels is a product over channels at each place; dilations move nothing."""
    kernel = shape[2:]
    if any(size != 1 for size in kernel):
        return f"its kernel is {'x'.join(map(str, kernel))}; a product over channels has kernels of size 1"
    if (groups := node.attributes.get_int("group", 1)) != 1:
        return f"its channels are in {groups} groups; a product has one"
    if any(step != 1 for step in node.attributes.get_ints("strides", ())):
        return "its strides skip places; those of a product are 1"
    if any(node.attributes.get_ints("pads", ())):
        return "its input is padded; that of a product is not"
    return WeightForm((*range(2, len(shape)), 1, 0))
