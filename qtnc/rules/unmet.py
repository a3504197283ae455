"""What is there instead of what a condition asks for."""

import numpy as np
import onnx_ir as ir

from qtnc.errors import printable
from qtnc.ir.dtypes import dtype_word
from qtnc.rules import terms
from qtnc.rules.computing import Computing
from qtnc.rules.found import array_of


def unmet(condition: terms.Term, computing: Computing, *, wanted: bool = True) -> str:
    """Why a condition is not what it was to be, true or behind a ``not`` false, both sides of a comparison computed."""
    end = "does not hold" if wanted else "holds"
    match condition:
        case terms.Not(part):
            return unmet(part, computing, wanted=not wanted)
        case terms.Binary("and" | "or" as sign, left, right) if (sign == "and") is wanted:  # one side decides
            decides = left if computing.truth(left) is not wanted else right
            return unmet(decides, computing, wanted=wanted)
        case terms.Binary("and" | "or" as sign, left, right):
            both = (unmet(part, computing, wanted=wanted) for part in (left, right))
            return ("; " if sign == "or" else " and ").join(both)
        case terms.Binary(sign, left, right):
            return f"{_shown(left, computing)} {sign} {_shown(right, computing)} {end}"
        case terms.Matches(part):
            return f"it is `{printable(str(computing.term(part)))}`"
        case terms.Call(function, (argument, *_)) if function in ("all", "any"):
            return f"{function} of {_shown(argument, computing)} {end}"
        case _:
            return f"it {end}"


def _shown(term: terms.Term, computing: Computing) -> str:
    """What a term comes to, in a few characters."""
    result = computing.term(term)
    if isinstance(result, ir.DataType):
        return dtype_word(result)
    if isinstance(result, ir.Value):
        result = array_of(result, result.name or "")
    if isinstance(result, np.ndarray | np.generic) and result.size != 1:
        return f"a constant of {result.size:,} elements"
    number = result.reshape(-1)[0].item() if isinstance(result, np.ndarray | np.generic) else result
    return f"{number:.6g}" if isinstance(number, float) else printable(str(number))
