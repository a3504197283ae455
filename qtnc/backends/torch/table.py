"""Which function writes which operation: one explicit table."""

from collections.abc import Callable
from typing import Final

from qtnc.backends.torch import (
    arrangement,
    attention,
    control,
    elementwise,
    indexing,
    linear,
    normalisation,
    reductions,
)
from qtnc.backends.torch.expression import Expr
from qtnc.backends.torch.node_view import Call, Unpacked

OPS: Final[dict[str, Callable[[Call], Expr | Unpacked]]] = {
    **elementwise.OPS,
    **arrangement.OPS,
    **indexing.OPS,
    **reductions.OPS,
    **linear.OPS,
    **normalisation.OPS,
    **attention.OPS,
    **control.OPS,
}
"""Operations of the standard domain; Constant, Identity, Shape and Size are handled before it is asked."""
