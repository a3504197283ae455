"""What terms come to, given what a rule found: numbers and constants computed, values and nodes for the rest."""

import operator
from collections.abc import Callable, Mapping
from math import prod
from types import MappingProxyType
from typing import Any, Final

import ml_dtypes
import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qtnc.errors import InternalError
from qtnc.ir.dtypes import DTYPES
from qtnc.rules import terms
from qtnc.rules.building import Builder
from qtnc.rules.found import Match, array_of, decline
from qtnc.rules.functions import FUNCTIONS, Sort
from qtnc.rules.measures import UnknownError, is_const
from qtnc.source import Span

SIGNS: Final[Mapping[str, Callable[[Any, Any], Any]]] = MappingProxyType(
    {
        "+": operator.add,
        "-": operator.sub,
        "*": operator.mul,
        "/": operator.truediv,
        "//": operator.floordiv,
        "%": operator.mod,
        "**": operator.pow,
        "@": operator.matmul,
        "<": operator.lt,
        "<=": operator.le,
        ">": operator.gt,
        ">=": operator.ge,
        "==": operator.eq,
        "!=": operator.ne,
    }
)
"""Signs of numpy's arithmetic; ``and`` and ``or`` look at the right side only where they must."""

HALF: Final = (np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16))
"""Element types in which nothing is computed: 32 bits are, and the result is rounded."""

MOVING: Final = frozenset({"transpose", "reshape", "concat", "slice"})
"""Functions that move elements and compute none, so that these may be texts."""

MOST: Final = 1 << 26
"""Elements of a constant that a rule may compute, unless the constants that it reads have more together."""

LONGEST: Final = 4096
"""Bits of a whole number: squared often enough it would take all time."""

WORK: Final = 1 << 42
"""Multiplications of one product that a rule may compute."""

SLOW_WORK: Final = 1 << 32
"""The same of element types for which numpy has no fast product."""


class Computing:
    """Computes terms of one rule at one match; ``lets`` grow step by step."""

    def __init__(self, found: Match, build: Builder | None = None) -> None:
        self._found, self._build = found, build
        self.lets: dict[str, Any] = {}
        read = {value for value in found.bound.values() if isinstance(value, ir.Value) and is_const(value)}
        self._most = max(MOST, sum(value.const_value.size for value in read if value.const_value is not None))

    def truth(self, term: terms.Term) -> bool:
        """Whether a condition holds; a constant must hold for every element."""
        result = self.term(term)
        array = array_of(result, _text(term)) if isinstance(result, ir.Value) else np.asarray(result)
        return bool(np.all(array))

    def term(self, term: terms.Term) -> Any:
        """What a term comes to.

        Returns
        -------
        A value of the graph for what is captured or made by a new node, else an array, a number, a text, a tuple, an
        element type or a truth.

        Raises
        ------
        DeclinedError
            If it has no answer at this place.
        """
        match term:
            case terms.Number(value) | terms.Text(value):
                return value
            case terms.Ref(name):
                return self._named(name)
            case terms.Items(items):
                return tuple(self._scalar(item) for item in items)
            case terms.Not(part):
                return not self.truth(part)
            case terms.Matches(part, pattern):
                return pattern.matches(self.term(part))
            case terms.Binary("and", left, right):
                return self.truth(left) and self.truth(right)
            case terms.Binary("or", left, right):
                return self.truth(left) or self.truth(right)
            case terms.Negative(part):
                return self._arithmetic(operator.neg, term.span, self.term(part))
            case terms.Binary(sign, left, right):
                parts = self.term(left), self.term(right)
                return self._arithmetic(SIGNS[sign], term.span, *parts, texts=sign in ("==", "!="))
            case terms.Call():
                return self._call(term)
            case terms.Apply():
                return self.nodes(term, 1)[0]

    def nodes(self, apply: terms.Apply, results: int) -> tuple[ir.Value, ...]:
        """Make the node that a term describes."""
        if self._build is None:
            raise InternalError("a condition makes no nodes")
        inputs: list[Any] = []
        for one in apply.inputs:
            read = None if one is None else self.term(one)
            if one is not None:
                self.remember(read, one)
            inputs += read if isinstance(read, tuple) and any(isinstance(v, ir.Value) for v in read) else [read]
        while inputs and inputs[-1] is None:
            inputs.pop()
        attributes = {name: self._attribute(value) for name, value in apply.attributes}
        if apply.again:
            return self._build.again(self._found.node(apply.op), *inputs, **attributes)
        return self._build.several(apply.op, results, *inputs, **attributes)

    def remember(self, result: Any, term: terms.Term) -> None:
        """Let what a term came to be called after the largest constant that it is made from, if nothing else names it.

        Layers are named after their weights, and keep the name where another operator reads them, transposed say.
        """
        if self._build is not None and isinstance(result, np.ndarray) and not isinstance(term, terms.Ref):
            read = (self._found.bound.get(part.name) for part in terms.parts_of(term) if isinstance(part, terms.Ref))
            known = [value for value in read if isinstance(value, ir.Value) and is_const(value)]
            if known:
                largest = max(known, key=lambda value: value.const_value.size if value.const_value else 0)
                self._build.made_from(result, str(largest.name))

    def source_of(self, term: terms.Term) -> str | None:
        """Name of the first constant that a computed one is made from: what it replaces, most likely."""
        for part in terms.parts_of(term):
            value = self._found.bound.get(part.name) if isinstance(part, terms.Ref) else None
            if isinstance(value, ir.Value) and is_const(value):
                return value.name
        return None

    def _named(self, name: str) -> Any:
        if name in self.lets:
            return self.lets[name]
        if name in self._found.bound:
            found = self._found.bound[name]
            return np.asarray(found.numpy()) if isinstance(found, ir.TensorProtocol) else found
        if name in DTYPES:
            return DTYPES[name]
        raise InternalError(f"`{name}` is bound by nothing")

    def _scalar(self, term: terms.Term) -> Any:
        """One item of a list: a text, or a number out of whatever holds one."""
        result = self._plain(self.term(term), term)
        if isinstance(result, str):
            return result
        array = np.asarray(result)
        if array.size != 1:
            decline(f"{array.size:,} numbers stand where one is wanted", term.span)
        return array.reshape(-1).tolist()[0]

    def _attribute(self, term: terms.Term) -> Any:
        result = self.term(term)
        if isinstance(result, ir.Value):
            array = array_of(result, _text(term))
            return array.reshape(-1)[0].item() if array.size == 1 else array
        return result.item() if isinstance(result, np.ndarray | np.generic) and result.size == 1 else result

    def _plain(self, result: Any, term: terms.Term | None = None) -> Any:
        """Numbers of a constant value, anything else as it is."""
        if isinstance(result, ir.Value):
            return array_of(result, _text(term) if term else result.name or "")
        return np.asarray(result) if isinstance(result, tuple) else result

    def _arithmetic(self, compute: Callable[..., Any], span: Span | None, *parts: Any, texts: bool = False) -> Any:
        plain = [self._plain(part) for part in parts]
        if not texts and any(isinstance(p, np.ndarray) and p.dtype == object for p in plain):
            decline("texts are not computed with", span)
        half = next((p.dtype for p in plain if isinstance(p, np.ndarray) and p.dtype in HALF), None)
        wide = [p.astype(np.float32) if isinstance(p, np.ndarray) and p.dtype in HALF else p for p in plain]
        _check_size(wide, compute, span, self._most)
        try:
            with np.errstate(all="ignore"):
                result = compute(*wide)
        except (ArithmeticError, ValueError, TypeError, LookupError, MemoryError) as error:
            decline(f"it cannot be computed: {str(error)[:200]}", span)
        if isinstance(result, int) and result.bit_length() > LONGEST:
            decline("it is a number too large", span)
        if isinstance(result, np.generic):
            result = np.asarray(result) if any(isinstance(p, np.ndarray) for p in plain) else result.item()
        rounded = half is not None and isinstance(result, np.ndarray) and result.dtype == np.float32
        return result.astype(half) if rounded else result

    def _call(self, call: terms.Call) -> Any:
        function = FUNCTIONS[call.function]
        sorts = (*function.parameters, *[function.rest] * len(call.arguments))
        arguments: list[Any] = []
        for term, sort in zip(call.arguments, sorts, strict=False):
            result = self.term(term)
            if sort is Sort.VALUE:
                arguments.append(result)
            elif sort is Sort.DTYPE:
                arguments.append(_numeric(result, term))
            elif sort is Sort.NUMBER:
                arguments.append(self._scalar(term))
            elif sort is Sort.LIST:
                plain = self._plain(result, term)
                arguments.append(tuple(plain.tolist()) if isinstance(plain, np.ndarray) else plain)
            else:
                arguments.append(self._plain(result, term))
        if any(sort is Sort.VALUE for sort in function.parameters):
            try:
                return function.compute(*arguments)
            except (UnknownError, ArithmeticError, ValueError) as error:
                decline(f"`{_text(call.arguments[0])}`: {error}", call.span)
        _check_call(call, arguments, self._most)
        texts = call.function in MOVING
        return self._arithmetic(lambda *parts: function.compute(*parts), call.span, *arguments, texts=texts)


def _numeric(dtype: ir.DataType, term: terms.Term) -> np.dtype[Any]:
    if dtype == ir.DataType.STRING:
        decline("no number is of that type", term.span)
    return dtype.numpy()


def _text(term: terms.Term) -> str:
    return term.span.text if term.span else term.name if isinstance(term, terms.Ref) else type(term).__name__.lower()


def _check_size(parts: list[Any], compute: Callable[..., Any], span: Span | None, most: int) -> None:
    """Refuse what would take all memory or time: sizes of numbers are hostile too."""
    if compute is operator.pow and all(isinstance(p, int) for p in parts) and len(parts) > 1:
        base, exponent = parts
        if abs(exponent) * max(abs(base), 1).bit_length() > MOST.bit_length() * 64:
            decline("it is a number too large", span)
    arrays = [p for p in parts if isinstance(p, np.ndarray)]
    if len(arrays) < 2:
        return
    try:
        if compute is operator.matmul:
            size = _check_work(arrays[0], arrays[1], span)
        else:
            size = prod(np.broadcast_shapes(*(array.shape for array in arrays)))
    except ValueError:
        return  # said by the arithmetic itself
    if size > most:
        decline(f"it would be a constant of {size:,} elements", span)


def _check_work(left: NDArray[Any], right: NDArray[Any], span: Span | None) -> int:
    """Elements of a product; declines where they take too long."""
    if not left.ndim or not right.ndim:
        return 0  # said by the arithmetic itself
    rows = left.shape[-2] if left.ndim > 1 else 1
    columns = right.shape[-1] if right.ndim > 1 else 1
    size = prod(np.broadcast_shapes(left.shape[:-2], right.shape[:-2])) * rows * columns
    fast = all(array.dtype in (np.float32, np.float64) for array in (left, right))
    if size * left.shape[-1] > (WORK if fast else SLOW_WORK):
        decline(f"it would take {size * left.shape[-1]:,} multiplications", span)
    return size


def _check_call(call: terms.Call, arguments: list[Any], most: int) -> None:
    size = 0.0
    try:
        if call.function == "full":
            size = float(np.prod(np.asarray(arguments[0], np.float64)))
        elif call.function == "eye":
            size = float(arguments[0]) ** 2
        elif call.function == "concat":
            size = float(sum(np.size(part) for part in arguments[1:]))
    except (ArithmeticError, ValueError, TypeError) as error:
        decline(f"it cannot be computed: {str(error)[:200]}", call.span)
    if not size <= most:
        decline(f"it would be a constant of {size:,.0f} elements", call.span)
