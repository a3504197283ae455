"""Emission of Attention and RotaryEmbedding, as short functions placed above the model."""

from collections.abc import Callable
from typing import Final

from qtnc.backends.torch.emission import Call, Unpacked
from qtnc.backends.torch.expression import Expr

SNIPPETS: Final[dict[str, str]] = {}

OPS: Final[dict[str, Callable[[Call], Expr | Unpacked]]] = {}
