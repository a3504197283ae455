"""What is there instead of what a condition asks for."""

import numpy as np
import onnx_ir as ir

from qtnc.errors import printable
from qtnc.ir.dtypes import dtype_word
from qtnc.rules import terms
from qtnc.rules.computing import Computing
from qtnc.rules.found import array_of


def unmet(condition: terms.Term, computing: Computing) -> str:
    """Why a condition that does not hold does not, both sides of a comparison computed."""
    match condition:
        case terms.Not():
            return _met(condition.part, computing)
        case terms.Binary("and", left, right):
            return unmet(right if computing.truth(left) else left, computing)
        case terms.Binary("or", left, right):
            return f"{unmet(left, computing)}; {unmet(right, computing)}"
        case terms.Binary(sign, left, right):
            return f"{_shown(left, computing)} {sign} {_shown(right, computing)} does not hold"
        case terms.Matches(part):
            return f"it is `{printable(str(computing.term(part)))}`"
        case terms.Call(function, (argument, *_)) if function in ("all", "any"):
            return f"{function} of {_shown(argument, computing)} does not hold"
        case _:
            return "it does not hold"


def _met(condition: terms.Term, computing: Computing) -> str:
    """Why what was not to hold does."""
    match condition:
        case terms.Not():
            return unmet(condition.part, computing)
        case terms.Binary("and", left, right):
            return f"{_met(left, computing)} and {_met(right, computing)}"
        case terms.Binary("or", left, right):
            return _met(left if computing.truth(left) else right, computing)
        case terms.Binary(sign, left, right):
            return f"{_shown(left, computing)} {sign} {_shown(right, computing)} holds"
        case terms.Matches(part):
            return f"it is `{computing.term(part)}`"
        case terms.Call(function, (argument, *_)) if function in ("all", "any"):
            return f"{function} of {_shown(argument, computing)} holds"
        case _:
            return "it holds"


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
