"""Classes of operators that rules speak of, and which of them may swap what they read."""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

UNARY: Final = frozenset(
    {
        "Abs",
        "Acos",
        "Acosh",
        "Asin",
        "Asinh",
        "Atan",
        "Atanh",
        "Cast",
        "Ceil",
        "Celu",
        "Cos",
        "Cosh",
        "Elu",
        "Erf",
        "Exp",
    }
    | {"Floor", "Gelu", "HardSigmoid", "HardSwish", "IsInf", "IsNaN", "LeakyRelu", "Log", "Mish", "Neg", "Not"}
    | {
        "Reciprocal",
        "Relu",
        "Round",
        "Selu",
        "Shrink",
        "Sigmoid",
        "Sign",
        "Sin",
        "Sinh",
        "Softplus",
        "Softsign",
        "Sqrt",
    }
    | {"Swish", "Tan", "Tanh", "ThresholdedRelu", "BitwiseNot"}
)
"""Operators that read one tensor and do the same to every element of it."""

BINARY: Final = frozenset(
    {"Add", "And", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Div", "Equal", "Greater", "GreaterOrEqual"}
    | {"Less", "LessOrEqual", "Mod", "Mul", "Or", "PRelu", "Pow", "Sub", "Xor"}
)
"""Operators that read two tensors, spread over one another, and do the same to every pair of elements."""

COMMUTATIVE: Final = frozenset(
    {"Add", "And", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Equal", "Max", "Mean", "Min", "Mul", "Or", "Sum", "Xor"}
)
"""Operators whose inputs may stand in any order."""

REDUCTIONS: Final = frozenset(
    {"ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd"}
    | {"ReduceSum", "ReduceSumSquare"}
)
"""Operators that make one element of many along axes."""

CLASSES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "unary": UNARY,
        "binary": BINARY,
        "elementwise": UNARY | BINARY | {"Clip", "Max", "Mean", "Min", "Sum", "Where"},
        "commutative": COMMUTATIVE,
        "reduction": REDUCTIONS,
    }
)
"""Words of the language for classes of ONNX's operators."""


@cache
def operators_of(words: tuple[str, ...]) -> frozenset[tuple[str, str]]:
    """``(domain, op_type)`` of everything that operators and classes of a pattern stand for; ONNX's domain is empty."""
    found: set[tuple[str, str]] = set()
    for word in words:
        if word in CLASSES:
            found.update(("", op) for op in CLASSES[word])
        else:
            domain, _, op = word.rpartition(".")
            found.add((domain, op))
    return frozenset(found)


def is_commutative(domain: str, op: str) -> bool:
    """Whether an operator's inputs may stand in any order."""
    return domain == "" and op in COMMUTATIVE
