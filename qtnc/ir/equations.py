"""Equations of Einsum, which come from the model file."""

import re
from typing import Final

_TERM = r"[A-Za-z]*(?:\.{3}[A-Za-z]*)?"
_EQUATION = re.compile(rf"{_TERM}(?:,{_TERM})*(?:->{_TERM})?")

LONGEST: Final = 1000
"""Characters of an equation."""


def plain_equation(text: str) -> str | None:
    """The equation without blanks, or None when it is not letters, commas, ellipses and one arrow.

    On equations with stray dots onnx's shape inference never returns.
    """
    plain = "".join(text.split())
    return plain if len(plain) <= LONGEST and _EQUATION.fullmatch(plain) else None
