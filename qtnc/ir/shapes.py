"""What two descriptions of one value's shape say together."""

import onnx_ir as ir


def more_known(shape: ir.Shape | None, other: ir.Shape | None) -> ir.Shape | None:
    """What two shapes of one value tell together; the first where they differ."""
    if shape is None or other is None or len(shape) != len(other):
        return shape or other
    known = (
        a if isinstance(a, int) or (not isinstance(b, int) and a.value) else b
        for a, b in zip(shape, other, strict=True)
    )
    return ir.Shape(known)


def differ(shape: ir.Shape | None, other: ir.Shape | None) -> bool:
    """Whether two shapes cannot be those of one value."""
    if shape is None or other is None:
        return False
    sizes = zip(shape, other, strict=False)
    return len(shape) != len(other) or any(isinstance(a, int) and isinstance(b, int) and a != b for a, b in sizes)


def shape_word(shape: ir.Shape | None) -> str:
    """``8x?x4``; a single number for one axis, ``1 number`` for none."""
    if shape is None:
        return "unknown"
    return "x".join(str(axis) if isinstance(axis, int) else axis.value or "?" for axis in shape) or "1 number"
