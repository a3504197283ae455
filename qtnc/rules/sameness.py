"""Whether two graphs compute the same in the same way, and what one looks like as an expression."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import onnx_ir as ir

from qtnc.rules.likeness import equal
from qtnc.rules.measures import is_const
from qtnc.rules.schemas import attribute_of

CLOSE: Final = 1e-5
"""Relative difference of constants that were computed in another order."""

LONGEST: Final = 200
"""Characters of an expression in a message."""


def same_outputs(a: Sequence[ir.Value], b: Sequence[ir.Value]) -> bool:
    """Whether outputs are the same expressions of the same inputs, constants equal but for rounding."""
    known: dict[tuple[ir.Value, ir.Value], bool] = {}
    return len(a) == len(b) and all(_same(x, y, known) for x, y in zip(a, b, strict=True))


def _same(a: ir.Value | None, b: ir.Value | None, known: dict[tuple[ir.Value, ir.Value], bool]) -> bool:
    if a is None or b is None:
        return a is b
    if (a, b) not in known:
        known[a, b] = _equal(a, b, known)
    return known[a, b]


def _equal(a: ir.Value, b: ir.Value, known: dict[tuple[ir.Value, ir.Value], bool]) -> bool:
    if is_const(a) or is_const(b):
        return is_const(a) and is_const(b) and _close(a, b)
    first, second = a.producer(), b.producer()
    if first is None or second is None:
        return first is second and a.name == b.name
    return (
        (first.domain, first.op_type, a.index()) == (second.domain, second.op_type, b.index())
        and all(_same_attribute(first, second, name) for name in first.attributes.keys() | second.attributes.keys())
        and len(first.inputs) == len(second.inputs)
        and all(_same(x, y, known) for x, y in zip(first.inputs, second.inputs, strict=True))
    )


def _close(a: ir.Value, b: ir.Value) -> bool:
    assert a.const_value is not None  # noqa: S101 - a constant
    assert b.const_value is not None  # noqa: S101 - a constant
    x, y = a.const_value.numpy(), b.const_value.numpy()
    if (x.dtype, x.shape) != (y.dtype, y.shape):
        return False
    return bool(np.allclose(x.astype(np.float64), y.astype(np.float64), rtol=CLOSE, atol=CLOSE, equal_nan=True))


def _same_attribute(first: ir.Node, second: ir.Node, name: str) -> bool:
    """Whether nodes of one operator have the same attribute; one that leaves it out has the default."""
    a, b = (attribute_of(node, name, _opset(node)) for node in (first, second))
    return equal(a, b) or str(a) == str(b)


def _opset(node: ir.Node) -> int:
    return node.graph.opset_imports.get(node.domain, 1) if node.graph is not None else 1


def expression(value: ir.Value | None) -> str:
    """``Add(MatMul(x, const[3, 4]), 2)``, cut off where it is long."""
    text = _expression(value, 0)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def _expression(value: ir.Value | None, depth: int) -> str:
    if value is None:
        return "_"
    node = value.producer()
    if is_const(value) and value.const_value is not None:
        if value.const_value.size == 1:
            return f"{value.const_value.numpy().reshape(-1)[0].item():.6g}"
        return f"const{list(value.const_value.shape.numpy())}"
    if node is None:
        return str(value.name)
    if depth > 8:
        return "..."
    inner = ", ".join(_expression(read, depth + 1) for read in node.inputs)
    told = ", ".join(f"{name} = {attribute.value}" for name, attribute in node.attributes.items())
    index = f".{value.index()}" if len(node.outputs) > 1 else ""
    return f"{node.op_type}({inner}){f'{{{told}}}' if told else ''}{index}"
